// Package meter stands between two programs of a benchmark: it counts the bytes
// that pass, both ways, and makes the link as slow as it is told. It knows
// nothing of what it passes on, so that its figures are nobody's own. Only
// scripts/bench imports it.
package meter

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// Shape is what a link is like. The zero value passes everything on at once.
type Shape struct {
	Rate int           // bytes a second in each direction; 0 for no limit
	Trip time.Duration // there and back
}

// Count is what has passed: from the one who dials to the one who listens, and back.
type Count struct {
	Up   int64 `json:"up"`
	Down int64 `json:"down"`
}

// Both is the sum.
func (c Count) Both() int64 { return c.Up + c.Down }

// pieceBytes is about what a link carries as one; it is delayed as one.
const pieceBytes = 1024

// queue is how many pieces wait in a direction: what the buffers of a link hold.
const queue = 32

// Meter counts and slows. All methods may be called from several goroutines.
type Meter struct {
	mu    sync.Mutex
	shape Shape
	count Count
	conns map[net.Conn]struct{}
}

// New returns a meter of a link without limits.
func New() *Meter { return &Meter{conns: make(map[net.Conn]struct{})} }

// SetShape changes the link, also for connections that are up.
func (m *Meter) SetShape(s Shape) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shape = s
}

// Take returns what has passed since it was called last.
func (m *Meter) Take() Count {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.count
	m.count = Count{}
	return c
}

// Drop ends all connections, as a link does that goes out of range for a moment.
func (m *Meter) Drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		_ = c.Close()
	}
}

// Serve passes the listener's connections on to the address, until the context
// ends; then it ends them all and returns.
func (m *Meter) Serve(ctx context.Context, ln net.Listener, network, address string) error {
	var all sync.WaitGroup
	defer all.Wait()
	defer m.Drop()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for {
		near, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		all.Go(func() { m.join(ctx, near, network, address) })
	}
}

func (m *Meter) join(ctx context.Context, near net.Conn, network, address string) {
	defer m.hold(near)()
	far, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return
	}
	defer m.hold(far)()
	var both sync.WaitGroup
	both.Go(func() { m.pass(far, near, true) })
	both.Go(func() { m.pass(near, far, false) })
	both.Wait()
}

// hold keeps a connection for Drop, and returns what ends it.
func (m *Meter) hold(c net.Conn) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns[c] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.conns, c)
		_ = c.Close()
	}
}

// pass copies until the source ends and hands the end on. Where the target fails,
// both are closed.
func (m *Meter) pass(to, from net.Conn, up bool) {
	if m.Copy(to, from, up) != nil {
		_, _ = to.Close(), from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// piece is some bytes, and when they are at the other end.
type piece struct {
	bytes []byte
	due   time.Time
}

// Copy passes on what is read, counted and slowed, and returns when the reader has
// ended and all is written.
func (m *Meter) Copy(to io.Writer, from io.Reader, up bool) error {
	way := make(chan piece, queue)
	done := make(chan error, 1)
	go func() { done <- arrive(to, way) }()
	var free time.Time // when the link has sent what was given to it
	var err error
	for err == nil {
		b := make([]byte, m.room())
		var n int
		n, err = from.Read(b)
		if n > 0 {
			way <- piece{bytes: b[:n], due: m.due(&free, n, up)}
		}
	}
	close(way)
	failed := <-done
	if err == io.EOF {
		return failed
	}
	return err
}

// room is how much is read at once: a link without limits is not to be the slow part.
func (m *Meter) room() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shape == (Shape{}) {
		return 64 << 10
	}
	return pieceBytes
}

// due counts n bytes and says when they arrive.
func (m *Meter) due(free *time.Time, n int, up bool) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if up {
		m.count.Up += int64(n)
	} else {
		m.count.Down += int64(n)
	}
	if now := time.Now(); free.Before(now) {
		*free = now
	}
	if m.shape.Rate > 0 {
		*free = free.Add(time.Duration(n) * time.Second / time.Duration(m.shape.Rate))
	}
	return free.Add(m.shape.Trip / 2)
}

// arrive writes each piece when it is due. After a failure it takes the rest and
// drops it, so that nobody waits.
func arrive(to io.Writer, way <-chan piece) error {
	var failed error
	for p := range way {
		if failed != nil {
			continue
		}
		if d := time.Until(p.due); d > 0 {
			time.Sleep(d)
		}
		_, failed = to.Write(p.bytes)
	}
	return failed
}
