package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Limits of the control socket.
const (
	maxLine        = 64
	maxClients     = 16
	commandTimeout = 20 * time.Second
	idleTimeout    = time.Minute
)

// control is the socket that takes commands.
type control struct{ listener *net.UnixListener }

func listenControl(dir string) (*control, error) {
	path := filepath.Join(dir, "control")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return &control{listener}, nil
}

func (c *control) close() { _ = c.listener.Close() }

// serve takes clients until the listener is closed, and waits for theirs to end.
func (c *control) serve(ctx context.Context, b *bench) {
	var group sync.WaitGroup
	defer group.Wait()
	places := make(chan struct{}, maxClients)
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			converse(ctx, conn, b)
		})
	}
}

// converse answers the lines of one client.
func converse(ctx context.Context, conn net.Conn, b *bench) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, maxLine), maxLine)
	for {
		if err := conn.SetDeadline(time.Now().Add(idleTimeout)); err != nil || !lines.Scan() {
			return
		}
		if _, err := fmt.Fprintln(conn, answer(ctx, b, lines.Text())); err != nil {
			return
		}
	}
}

func answer(ctx context.Context, b *bench, line string) string {
	if line == "written" { // bytes of data in UPDATE BINARY and PUT DATA since the start
		return strconv.Itoa(b.card.Counts().Written)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	in, err := b.command(ctx, line)
	switch {
	case err != nil:
		return "error: " + err.Error()
	case in:
		return "in"
	}
	return "out"
}
