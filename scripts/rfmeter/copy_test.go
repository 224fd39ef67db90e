package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pair is a stream between two ends, each with deadlines.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rf") // short, for the path of the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a, err = net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{a, b} {
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

func TestCopy(t *testing.T) {
	for _, n := range []int64{1, period, barePiece, 3*barePiece + 7, 1<<20 + 1} {
		asks, answers := pair(t)
		done := make(chan error, 1)
		go func() { done <- answer(answers, barePiece) }()
		rate, err := fetch(asks, n)
		if err != nil || rate <= 0 {
			t.Errorf("%d bytes: %v, %v", n, rate, err)
		}
		if err := asks.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%d bytes: the other end: %v", n, err)
		}
	}
}

func TestWrongBytesAreNoticed(t *testing.T) {
	for name, sent := range map[string][]byte{
		"changed": append(sequence(0, 99), 0), "late": sequence(1, 100), "short": sequence(0, 99),
	} {
		asks, answers := pair(t)
		if _, err := answers.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := answers.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := fetch(asks, 100); err == nil {
			t.Errorf("%s: taken for right", name)
		}
	}
}

type twoWay struct {
	io.Reader
	io.Writer
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 9})
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, asked []byte) {
		var out bytes.Buffer
		if err := answer(twoWay{bytes.NewReader(asked), &out}, barePiece); err == nil && len(asked) < 8 {
			t.Error("half a question was answered")
		}
		if out.Len() > maxBytes {
			t.Errorf("%d bytes were sent", out.Len())
		}
	})
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		bare, link []float64
		slow       bool
	}{
		{bare: []float64{100}, link: []float64{80}},
		{bare: []float64{100}, link: []float64{79}, slow: true},
		{bare: []float64{100, 1, 110}, link: []float64{5, 90, 85}},
		{bare: []float64{9, 100, 110}, link: []float64{70, 75, 200}, slow: true},
	} {
		both := []*way{{name: "bare copy", kept: c.bare}, {name: "link", kept: c.link}}
		if err := verdict(options{least: 80}, both, io.Discard); errors.Is(err, errSlow) != c.slow {
			t.Errorf("%v and %v: %v", c.bare, c.link, err)
		}
	}
}
