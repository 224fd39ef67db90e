package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/reprovision/reprovision/pkg/link"
)

// preambleTime bounds the preamble on both sides.
const preambleTime = 5 * time.Second

// sendBuffer, in bytes, bounds what waits in the kernel, and with it how long a
// small call waits behind bulk data when something slow reads the socket.
const sendBuffer = 64 << 10

// Dialer reaches a reader through the unix socket at Path.
type Dialer struct {
	Path string
}

// Dial implements link.Dialer. A socket that is not there, or that nobody
// listens on, is a reader out of range.
func (d Dialer) Dial(ctx context.Context, a link.Address) (net.Conn, error) {
	conn, err := d.dial(ctx, a)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, fmt.Errorf("cannot reach %s: %w", a, err)
}

func (d Dialer) dial(ctx context.Context, a link.Address) (net.Conn, error) {
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, "unix", d.Path)
	if nobodyListens(err) {
		return nil, fmt.Errorf("%w: nobody listens on %s", link.ErrUnreachable, d.Path)
	}
	if err != nil {
		return nil, err
	}
	if err := greet(ctx, conn, a); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// nobodyListens covers a backlog that is full (EAGAIN), too: to the device that
// is a reader that does not answer.
func nobodyListens(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.EAGAIN)
}

// greet runs the dialer's half of the preamble and leaves the connection
// without a deadline.
func greet(ctx context.Context, conn net.Conn, a link.Address) error {
	if err := conn.SetDeadline(time.Now().Add(preambleTime)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := exchange(conn, a)
	if !stop() {
		return context.Cause(ctx)
	}
	if err != nil {
		return hungUp(err)
	}
	limitBuffer(conn)
	return conn.SetDeadline(time.Time{})
}

func exchange(conn net.Conn, a link.Address) error {
	if _, err := conn.Write(makeHello(a)); err != nil {
		return err
	}
	return readAnswer(conn)
}

// hungUp makes a listener that went away in the middle of the preamble a reader
// out of range.
func hungUp(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("%w: it hung up", link.ErrUnreachable)
	}
	return err
}

// limitBuffer sets a bound that is an optimisation: without it the link works.
func limitBuffer(conn net.Conn) {
	if u, ok := conn.(*net.UnixConn); ok {
		_ = u.SetWriteBuffer(sendBuffer)
	}
}
