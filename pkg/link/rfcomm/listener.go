package rfcomm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/link"
)

// Listener is the reader's end. It implements link.Listener.
type Listener struct {
	client *bluez.Client
	life   context.Context // ends with Close
	end    context.CancelFunc

	runs sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	address link.Address // the last that was known
}

// NewListener makes a listener of a client with bluez.Server's role, which nobody
// else runs.
func NewListener(client *bluez.Client) *Listener {
	l := &Listener{client: client}
	l.life, l.end = context.WithCancel(context.Background())
	return l
}

// Run implements link.Listener. It goes on while there is no adapter, and ends
// with an error of its own only when the bus is gone.
func (l *Listener) Run(ctx context.Context) error {
	if !l.begin() {
		return nil
	}
	defer l.runs.Done()
	defer l.end()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(l.life, cancel)
	defer stop()
	err := l.client.Run(inner)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case l.life.Err() != nil && errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

// begin counts a Run that Close has to wait for.
func (l *Listener) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.runs.Add(1)
	return true
}

// Accept implements link.Listener.
func (l *Listener) Accept(ctx context.Context) (net.Conn, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(l.life, func() { cancel(net.ErrClosed) })
	defer stop()
	if l.life.Err() != nil {
		return nil, fmt.Errorf("cannot accept: %w", net.ErrClosed)
	}
	s, err := l.client.Accept(inner)
	if err != nil {
		return nil, fmt.Errorf("cannot accept: %w", err)
	}
	return newConn(s), nil
}

// Address implements link.Listener. It is the adapter's, the last one's while
// there is none, and zero before there was one.
func (l *Listener) Address() link.Address {
	now := link.Address(l.client.State().Address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.IsZero() {
		l.address = now
	}
	return l.address
}

// Close implements link.Listener. It waits for Run to take the service back.
func (l *Listener) Close() error {
	l.Address() // to be remembered
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.end()
	l.runs.Wait()
	return nil
}
