package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxConns    = 256             // at the gate at one time
	dialTimeout = 5 * time.Second // a reader that does not accept is not there
)

// gate passes connections on while it is open. Cutting it ends all of them and
// takes the socket away, so that a dialer finds nobody.
type gate struct {
	listen, dial string

	rate atomic.Int64 // bytes a second, each way; 0 for no limit

	turn sync.Mutex // one word is obeyed at a time

	mu    sync.Mutex
	ln    net.Listener          // nil while cut
	conns map[net.Conn]struct{} // of both sides
	wg    sync.WaitGroup
}

func newGate(listen, dial string) *gate {
	return &gate{listen: listen, dial: dial, conns: make(map[net.Conn]struct{})}
}

// obey carries out one word from the control socket.
func (g *gate) obey(word string) (string, error) {
	g.turn.Lock()
	defer g.turn.Unlock()
	word, arg, _ := strings.Cut(word, " ")
	switch word {
	case "slow":
		rate, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || rate <= 0 {
			return "", fmt.Errorf("cannot use the rate %q: want bytes a second", arg)
		}
		g.rate.Store(rate)
	case "fast":
		g.rate.Store(0)
	case "cut":
		g.cut()
	case "mend":
		if err := g.mend(); err != nil {
			return "", err
		}
	case "status":
	default:
		return "", fmt.Errorf("unknown word %q: want cut, mend, slow RATE, fast or status", word)
	}
	return g.state(), nil
}

func (g *gate) state() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ln == nil {
		return "cut"
	}
	return "open"
}

// mend opens the gate; an open one stays as it is.
func (g *gate) mend() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ln != nil {
		return nil
	}
	ln, err := listenUnix(g.listen)
	if err != nil {
		return err
	}
	g.ln = ln
	g.wg.Go(func() { g.accept(ln) })
	return nil
}

// cut closes the gate and ends every connection through it; when it returns,
// no byte passes any more.
func (g *gate) cut() {
	g.mu.Lock()
	if g.ln != nil {
		_ = g.ln.Close()
		g.ln = nil
	}
	for c := range g.conns {
		_ = c.Close()
	}
	g.mu.Unlock()
	g.wg.Wait()
}

func (g *gate) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors: they come back
			continue
		}
		if g.admit(ln, c) {
			g.wg.Go(func() { g.carry(ln, c) })
		}
	}
}

// admit takes a connection into the books, or closes it when the gate that
// accepted it is cut meanwhile or has too many.
func (g *gate) admit(ln net.Listener, c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ln != ln || len(g.conns) >= maxConns {
		_ = c.Close()
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

func (g *gate) release(c net.Conn) {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
	_ = c.Close()
}

// carry dials the reader for one connection of the device. A reader that is
// not there shows as a connection that closes at once.
func (g *gate) carry(ln net.Listener, device net.Conn) {
	defer g.release(device)
	reader, err := net.DialTimeout("unix", g.dial, dialTimeout)
	if err != nil || !g.admit(ln, reader) {
		return
	}
	defer g.release(reader)
	var both sync.WaitGroup
	both.Go(func() { g.pass(reader, device) })
	both.Go(func() { g.pass(device, reader) })
	both.Wait()
}

// pass copies until the source ends, and hands that end on. After an error the
// target is closed whole, which ends the other direction too.
func (g *gate) pass(to, from net.Conn) {
	if _, err := io.Copy(to, &paced{Reader: from, rate: &g.rate}); err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	if half, ok := to.(*net.UnixConn); ok {
		_ = half.CloseWrite()
	}
}

// paced reads no faster than at the rate that holds at the time.
type paced struct {
	io.Reader
	rate *atomic.Int64
	free time.Time // the link is busy until then with what was read
}

const pacedBytes = 4 << 10 // of one read, so that what is small passes soon

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b[:min(len(b), pacedBytes)])
	rate := p.rate.Load()
	if rate == 0 {
		return n, err
	}
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(rate))
	time.Sleep(time.Until(p.free))
	return n, err
}

// listenUnix listens on a socket that only its owner reaches. It takes the
// place of a socket that a killed process left.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("cannot replace the old socket: %w", err)
		}
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the gate: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("cannot protect the socket: %w", err)
	}
	return ln, nil
}
