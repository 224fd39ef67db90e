package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const patience = 10 * time.Second

// bench is a gate that runs with its control socket, before a reader that
// echoes what it gets.
type bench struct{ listen, dial, control string }

func newBench(t *testing.T) bench {
	t.Helper()
	dir := shortDir(t)
	b := bench{filepath.Join(dir, "l"), filepath.Join(dir, "d"), filepath.Join(dir, "c")}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"run", "-listen", b.listen, "-dial", b.dial, "-control", b.control}, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	// The socket's file is there a moment before anybody listens.
	eventually(t, func() bool { _, err := say(context.Background(), b.control, "status"); return err == nil })
	return b
}

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (b bench) echo(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("unix", b.dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
}

func (b bench) say(t *testing.T, word string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(context.Background(), []string{"say", b.control, word}, &out); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func (b bench) connect(t *testing.T) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", b.listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn)
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it did not happen in time")
}

func roundTrip(t *testing.T, c net.Conn, msg string) {
	t.Helper()
	if _, err := io.WriteString(c, msg); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != msg {
		t.Fatalf("echo: %q, %v; want %q", got, err, msg)
	}
}

func TestGatePassesBytesAndTheEnd(t *testing.T) {
	b := newBench(t)
	b.echo(t)
	c := b.connect(t)
	sent := make([]byte, 4<<20)
	rand.Read(sent)
	go func() {
		c.Write(sent)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("got %d bytes, %v; want the %d sent", len(got), err, len(sent))
	}
}

// TestSlow wants half a megabyte at 2 MB/s to take a quarter of a second, and no limit
// to be gone when it is taken away.
func TestSlow(t *testing.T) {
	b := newBench(t)
	b.echo(t)
	c := b.connect(t)
	roundTrip(t, c, "fast")
	b.say(t, "slow 2000000")
	begun := time.Now()
	roundTrip(t, c, strings.Repeat("slow", 128<<10))
	if took := time.Since(begun); took < 200*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	b.say(t, "slow 1")
	b.say(t, "fast")
	roundTrip(t, c, "fast again")
	for _, word := range []string{"slow", "slow x", "slow -1", "slow 0"} {
		if answer, err := say(context.Background(), b.control, word); err == nil {
			t.Errorf("%q: %q", word, answer)
		}
	}
}

func TestCutEndsConnectionsAndMendAllowsNewOnes(t *testing.T) {
	b := newBench(t)
	b.echo(t)
	c := b.connect(t)
	roundTrip(t, c, "before")
	if got := b.say(t, "cut"); got != "cut" {
		t.Fatalf("cut: %q", got)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("the cut connection still gave %d bytes", n)
	}
	if c, err := net.Dial("unix", b.listen); err == nil {
		c.Close()
		t.Error("a new connection was made through a cut gate")
	}
	if got := b.say(t, "cut"); got != "cut" {
		t.Errorf("cutting again: %q", got)
	}
	for range 2 {
		if got := b.say(t, "mend"); got != "open" {
			t.Errorf("mend: %q", got)
		}
	}
	roundTrip(t, b.connect(t), "after")
}

func TestAbsentReaderShowsAsClosed(t *testing.T) {
	b := newBench(t)
	if _, err := b.connect(t).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want the end", err)
	}
	b.echo(t)
	roundTrip(t, b.connect(t), "now it is there")
}

func TestOldSocketIsReplacedAndFileIsNot(t *testing.T) {
	dir := shortDir(t)
	old, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	old.Close()
	ln, err := listenUnix(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if info, err := os.Stat(filepath.Join(dir, "s")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v; want mode 0600", info, err)
	}
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(file); err == nil {
		t.Error("a file was replaced by a socket")
	}
}

func TestBadRequests(t *testing.T) {
	b := newBench(t)
	if _, err := say(context.Background(), b.control, "burn"); err == nil || !strings.Contains(err.Error(), "unknown word") {
		t.Errorf("unknown word: %v", err)
	}
	if _, err := say(context.Background(), b.control, strings.Repeat("x", 2*maxLine)); err == nil {
		t.Error("an endless line was answered")
	}
	if got := b.say(t, "status"); got != "open" {
		t.Errorf("status after bad requests: %q", got)
	}
	for _, args := range [][]string{{}, {"run"}, {"say", b.control}, {"walk"}, {"run", "-listen", "a", "-dial", "b", "-control", "c", "d"}} {
		if err := run(context.Background(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("cut\n"))
	f.Add([]byte("no end"))
	f.Add(bytes.Repeat([]byte("x"), maxLine+1))
	f.Fuzz(func(t *testing.T, raw []byte) {
		line, err := readLine(bytes.NewReader(raw))
		if err == nil && (len(line) >= maxLine || strings.Contains(line, "\n")) {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	})
}
