package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/link"
)

// pendingLimit bounds the connections that are in the preamble or wait for
// Accept; any beyond are told that the reader is busy.
const pendingLimit = 64

// Config is what a Listener needs.
type Config struct {
	Path    string       // of the socket; its directory is made if missing
	Address link.Address // the address that this reader answers to
	Logger  *slog.Logger
}

// Listener is the reader's end. It implements link.Listener.
type Listener struct {
	address  link.Address
	logger   *slog.Logger
	socket   net.Listener
	lock     *os.File
	conns    chan net.Conn
	life     context.Context // ends with Close
	end      context.CancelFunc
	closing  sync.Once
	closeErr error
}

// Listen binds the socket, so that whoever dials from now on waits for Run. It
// replaces a socket that a dead process left, and returns ErrInUse, wrapped,
// when a live one listens.
func Listen(cfg Config) (*Listener, error) {
	if cfg.Address.IsZero() {
		return nil, fmt.Errorf("cannot listen on %s: %w: none given", cfg.Path, link.ErrBadAddress)
	}
	socket, lock, err := bind(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", cfg.Path, err)
	}
	l := &Listener{
		address: cfg.Address,
		logger:  cfg.Logger,
		socket:  socket,
		lock:    lock,
		conns:   make(chan net.Conn),
	}
	l.life, l.end = context.WithCancel(context.Background())
	return l, nil
}

// Address implements link.Listener.
func (l *Listener) Address() link.Address { return l.address }

// Close implements link.Listener. It removes the socket.
func (l *Listener) Close() error {
	l.closing.Do(func() {
		l.end()
		// The socket goes before the lock, so that the next owner of the
		// lock cannot lose its own socket to us.
		l.closeErr = errors.Join(l.socket.Close(), l.lock.Close())
	})
	return l.closeErr
}

// Accept implements link.Listener.
func (l *Listener) Accept(ctx context.Context) (net.Conn, error) {
	if l.life.Err() != nil {
		return nil, fmt.Errorf("cannot accept: %w", net.ErrClosed)
	}
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.life.Done():
		return nil, fmt.Errorf("cannot accept: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Run implements link.Listener. Every connection has its preamble in a
// goroutine of its own, so that a slow peer holds up nobody.
func (l *Listener) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var pending sync.WaitGroup
	defer pending.Wait()
	slots := make(chan struct{}, pendingLimit)
	for {
		conn, err := l.socket.Accept()
		if err != nil {
			return l.ended(ctx, err)
		}
		select {
		case slots <- struct{}{}:
			pending.Go(func() {
				defer func() { <-slots }()
				l.admit(conn)
			})
		default:
			l.refuse(conn, busy)
		}
	}
}

// ended is Run's error. Any error of accept(2) on a socket that is still open
// (EMFILE above all) ends the link: the daemon sees it and starts anew.
func (l *Listener) ended(ctx context.Context, err error) error {
	if l.life.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(fmt.Errorf("cannot accept: %w", err), l.Close())
}

// admit runs the listener's half of the preamble and hands the connection to
// Accept, all within preambleTime.
func (l *Listener) admit(conn net.Conn) {
	end := time.Now().Add(preambleTime)
	v, err := l.hear(conn, end)
	if err != nil {
		l.logger.Debug("dropped a connection in its preamble", "error", err)
		_ = conn.Close()
		return
	}
	if v != accepted {
		l.refuse(conn, v)
		return
	}
	if _, err := conn.Write(makeAnswer(accepted)); err != nil {
		_ = conn.Close()
		return
	}
	l.deliver(conn, end)
}

// hear reads the hello and judges it.
func (l *Listener) hear(conn net.Conn, end time.Time) (verdict, error) {
	if err := conn.SetDeadline(end); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(l.life, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	b := make([]byte, helloLength)
	if _, err := io.ReadFull(conn, b); err != nil {
		return 0, err
	}
	v, address, err := parseHello(b)
	switch {
	case err != nil:
		return 0, err
	case v != version:
		return otherVersion, nil
	case address != l.address:
		return unknownAddress, nil
	}
	return accepted, nil
}

func (l *Listener) deliver(conn net.Conn, end time.Time) {
	limitBuffer(conn)
	if err := conn.SetDeadline(time.Time{}); err != nil {
		_ = conn.Close()
		return
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case l.conns <- conn:
	case <-l.life.Done():
		_ = conn.Close()
	case <-timer.C:
		l.logger.Warn("nobody accepted a connection in time")
		_ = conn.Close()
	}
}

// refuse answers without waiting: six bytes always fit an empty send buffer.
func (l *Listener) refuse(conn net.Conn, v verdict) {
	_ = conn.SetWriteDeadline(time.Now().Add(preambleTime))
	_, _ = conn.Write(makeAnswer(v))
	_ = conn.Close()
}
