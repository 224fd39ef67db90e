package meter

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// echo serves one address that sends back what it gets, and a meter before it.
func echo(t *testing.T) (m *Meter, dial func() net.Conn) {
	t.Helper()
	dir := t.TempDir()
	far, near := filepath.Join(dir, "f"), filepath.Join(dir, "n")
	end, err := net.Listen("unix", far)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	go func() {
		for {
			c, err := end.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	ln, err := net.Listen("unix", near)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	m = New()
	go func() { done <- m.Serve(ctx, ln, "unix", far) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m, func() net.Conn {
		c, err := net.Dial("unix", near)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func exchange(t *testing.T, c net.Conn, n int) {
	t.Helper()
	sent := bytes.Repeat([]byte("bytes"), n/5)
	go func() {
		c.Write(sent)
		c.(*net.UnixConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("got %d bytes, %v; want the %d sent", len(got), err, len(sent))
	}
}

func TestCountsBothWaysOnce(t *testing.T) {
	m, dial := echo(t)
	exchange(t, dial(), 100_000)
	if c := m.Take(); c != (Count{Up: 100_000, Down: 100_000}) {
		t.Errorf("counted %+v", c)
	}
	if c := m.Take(); c.Both() != 0 {
		t.Errorf("counted %+v twice", c)
	}
}

func TestSlowsToTheRate(t *testing.T) {
	m, dial := echo(t)
	m.SetShape(Shape{Rate: 100_000, Trip: 100 * time.Millisecond})
	start := time.Now()
	exchange(t, dial(), 50_000)
	// At least the time of the bytes and one way there and back; the upper bound is
	// generous, for the machine may be busy.
	if took := time.Since(start); took < 590*time.Millisecond || took > 10*time.Second {
		t.Errorf("50 kB at 100 kB/s and 100 ms took %s", took)
	}
}

func TestDropEndsConnections(t *testing.T) {
	m, dial := echo(t)
	c := dial()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	m.Drop()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
	exchange(t, dial(), 5)
}
