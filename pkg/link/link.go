package link

import (
	"context"
	"errors"
	"net"
)

// ErrUnreachable is wrapped by the error of a Dial that found nobody with that
// address in range.
var ErrUnreachable = errors.New("reader out of range")

// Dialer is the device's end of a link.
type Dialer interface {
	// Dial connects to the reader with that address (step 414). It returns
	// ErrUnreachable, wrapped, when nobody in range has the address, and the
	// context's error when that ended first. The context has no hold on the
	// connection once Dial has returned.
	Dial(ctx context.Context, a Address) (net.Conn, error)
}

// Listener is the reader's end of a link. It accepts nothing before Run and
// nothing after Close.
type Listener interface {
	// Run serves the link until the context ends or Close is called, and
	// returns when everything that it started has ended. Its error is nil
	// after Close, the context's after a cancellation.
	Run(ctx context.Context) error
	// Accept waits for the next connection. It returns net.ErrClosed, wrapped,
	// once the listener is closed.
	Accept(ctx context.Context) (net.Conn, error)
	// Address is what the reader displays at step 412.
	Address() Address
	// Close ends Run and every waiting Accept. Connections that were accepted
	// live on.
	Close() error
}
