package session

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// meter counts the bytes on the link, TLS included.
type meter struct {
	net.Conn
	sent, received atomic.Uint64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.received.Add(uint64(n))
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.sent.Add(uint64(n))
	return n, err
}

// errGivenUp is why a connection ended that gRPC closed.
var errGivenUp = errors.New("no sign of life, or no HTTP/2")

// wire is an authenticated connection as gRPC gets it. It remembers why it
// ended, which gRPC tells nobody.
type wire struct {
	*tls.Conn
	first []byte // read already, to be read again
	pace  *pacer

	once   sync.Once
	ended  chan struct{}
	reason error // set before ended closes
}

func newWire(conn *tls.Conn, first []byte) *wire {
	return &wire{Conn: conn, first: first, pace: newPacer(bufferOf(conn.NetConn())), ended: make(chan struct{})}
}

// bufferOf sets how much a link holds of what is written to it; nil where that cannot be
// set. That it does is not vital.
func bufferOf(conn net.Conn) func(bytes int) {
	if m, counted := conn.(*meter); counted {
		conn = m.Conn
	}
	c, can := conn.(interface{ SetWriteBuffer(bytes int) error })
	if !can {
		return nil
	}
	return func(bytes int) { _ = c.SetWriteBuffer(bytes) }
}

func (w *wire) end(reason error) {
	w.once.Do(func() {
		w.reason = reason
		close(w.ended)
	})
}

func (w *wire) hasEnded() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// Read is called by one goroutine only.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.first) > 0 {
		n := copy(p, w.first)
		w.first = w.first[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	if err != nil {
		w.end(err)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	begun := time.Now()
	n, err := w.Conn.Write(p)
	w.pace.wrote(n, time.Since(begun))
	if err != nil {
		w.end(err)
	}
	return n, err
}

// Close closes the link. Where nobody gave a reason before, gRPC calls it: the
// peer gave no sign of life, or what it sent is not HTTP/2.
func (w *wire) Close() error {
	w.end(errGivenUp)
	return closeTLS(w.Conn)
}

// farewellTime bounds how long the farewell of TLS waits for a peer that does
// not read.
const farewellTime = time.Second

func closeTLS(conn *tls.Conn) error {
	timer := time.AfterFunc(farewellTime, func() { _ = conn.NetConn().Close() })
	defer timer.Stop()
	return conn.Close()
}

// interruptible runs f, which reads or writes conn, until ctx ends.
func interruptible(ctx context.Context, conn net.Conn, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}
