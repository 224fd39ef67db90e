package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"
)

const testTimeout = 20 * time.Second

func TestReadPacket(t *testing.T) {
	long := append([]byte{h4ACL, 0x2a, 0x20, 0xff, 0xff}, make([]byte, 0xffff)...)
	tests := []struct {
		name string
		in   []byte
		want []byte
		err  error
	}{
		{"reset", []byte{1, 3, 12, 0, 9}, []byte{1, 3, 12, 0}, nil},
		{"command", []byte{1, 5, 4, 2, 8, 9}, []byte{1, 5, 4, 2, 8, 9}, nil},
		{"event", []byte{4, 0x0e, 1, 7}, []byte{4, 0x0e, 1, 7}, nil},
		{"voice", []byte{3, 0, 0, 1, 7}, []byte{3, 0, 0, 1, 7}, nil},
		{"isochronous", []byte{5, 0, 0, 1, 0xc0, 7}, []byte{5, 0, 0, 1, 0xc0, 7}, nil},
		{"longest", long, long, nil},
		{"nothing", nil, nil, io.EOF},
		{"no type", []byte{0xff}, nil, errNoPacket},
		{"cut in the header", []byte{2, 0, 0}, nil, io.ErrUnexpectedEOF},
		{"cut after the type", []byte{2}, nil, io.ErrUnexpectedEOF},
		{"cut in the data", []byte{2, 0, 0, 2, 0, 1}, nil, io.ErrUnexpectedEOF},
		{"cut before the data", []byte{2, 0, 0, 2, 0}, nil, io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := readPacket(bufio.NewReader(bytes.NewReader(test.in)))
			if !errors.Is(err, test.err) || !bytes.Equal(got, test.want) {
				t.Fatalf("readPacket = %d bytes %x..., %v; want %d bytes, %v",
					len(got), got[:min(len(got), 8)], err, len(test.want), test.err)
			}
		})
	}
}

func FuzzReadPacket(f *testing.F) {
	f.Add([]byte{1, 3, 12, 0, 0xff, 2, 1, 0, 2, 0, 7, 7})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReader(bytes.NewReader(in))
		var out []byte
		var l links
		for {
			packet, err := readPacket(r)
			if errors.Is(err, errNoPacket) {
				out = append(out, in[len(out)])
				continue
			}
			if err != nil {
				break
			}
			l.observe(packet)
			out = append(out, packet...)
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatalf("the packets %x are not the start of %x", out, in)
		}
	})
}

func TestLinksAreThoseThatTheEventsTell(t *testing.T) {
	var l links
	for _, packet := range [][]byte{
		{4, 3, 11, 0, 42, 0, 1, 2, 3, 4, 5, 6, 1, 0},
		{4, 3, 11, 0, 43, 0, 1, 2, 3, 4, 5, 6, 1, 0},
		{4, 3, 11, 4, 44, 0, 1, 2, 3, 4, 5, 6, 1, 0}, // failed: page timeout
		{4, 5, 4, 0, 42, 0, 0x13},
		{4, 5, 4}, // too short to tell of any
		{2, 5, 4, 0, 0, 0},
	} {
		l.observe(packet)
	}
	got := l.take()
	if len(got) != 1 || !bytes.Equal(got[0], []byte{1, 6, 4, 3, 43, 0, 8}) {
		t.Fatalf("take = %x, want the end of link 43", got)
	}
	if again := l.take(); len(again) != 0 {
		t.Fatalf("take = %x the second time, want nothing", again)
	}
}

func TestBacklogNeverWaitsForTheReader(t *testing.T) {
	b := newBacklog()
	chunk := make([]byte, maxBacklog/4)
	for range 4 {
		if _, err := b.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Write([]byte{1}); !errors.Is(err, errBacklog) {
		t.Fatalf("Write over the limit = %v, want %v", err, errBacklog)
	}
	b.end(errRadio)
	n, err := io.Copy(io.Discard, b)
	if n != maxBacklog || !errors.Is(err, errRadio) {
		t.Fatalf("read %d, %v; want all %d and then the reason", n, err, maxBacklog)
	}
}

// radio is the far side: what every controller is sent, read by read.
type radio struct {
	path string
	ln   *net.UnixListener
}

func newRadio(t *testing.T) *radio {
	t.Helper()
	path := filepath.Join(t.TempDir(), "radio")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return &radio{path: path, ln: ln}
}

func (r *radio) accept(t *testing.T) net.Conn {
	t.Helper()
	_ = r.ln.SetDeadline(time.Now().Add(testTimeout))
	c, err := r.ln.Accept()
	if err != nil {
		t.Fatal("no controller was asked for:", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	return c
}

// relay runs one until the test ends; it returns how to reach its port, and
// where its end is told.
func relay(t *testing.T, r *radio) (path string, ended <-chan error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "port")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ready, told := io.Pipe()
	go func() {
		done <- run(ctx, []string{"-radio", r.path, "one=" + path}, told, slog.New(slog.DiscardHandler))
		_ = told.CloseWithError(io.ErrUnexpectedEOF)
	}()
	t.Cleanup(cancel)
	if line, err := bufio.NewReader(ready).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the relay said %q, %v", line, err)
	}
	return path, done
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	return c
}

func TestOneReadOfTheRadioHoldsOnePacket(t *testing.T) {
	r := newRadio(t)
	path, _ := relay(t, r)
	controller, guest := r.accept(t), dial(t, path)
	packets := [][]byte{{1, 3, 12, 0}, append([]byte{2, 42, 0, 200, 0}, make([]byte, 200)...), {1, 5, 4, 1, 9}}
	go func() {
		for _, b := range append([]byte{0xff, 0}, bytes.Join(packets, nil)...) {
			_, _ = guest.Write([]byte{b}) // in pieces, with noise first
		}
	}()
	buf := make([]byte, 4096)
	for _, want := range packets {
		n, err := controller.Read(buf)
		if err != nil || !bytes.Equal(buf[:n], want) {
			t.Fatalf("read %x, %v; want %x", buf[:n], err, want)
		}
	}
}

func TestGuestGetsWhatTheRadioSends(t *testing.T) {
	r := newRadio(t)
	path, _ := relay(t, r)
	controller, guest := r.accept(t), dial(t, path)
	sent := bytes.Repeat([]byte{4, 0x13, 5, 1, 42, 0, 1, 0}, 50000)
	go func() { _, _ = controller.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(guest, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatal("what came is not what was sent:", err)
	}
}

func TestLinksEndWithTheGuest(t *testing.T) {
	r := newRadio(t)
	path, _ := relay(t, r)
	controller, guest := r.accept(t), dial(t, path)
	event := []byte{4, 3, 11, 0, 42, 0, 1, 2, 3, 4, 5, 6, 1, 0}
	if _, err := controller.Write(event); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(guest, make([]byte, len(event))); err != nil {
		t.Fatal(err)
	}
	_ = guest.Close()
	got, err := io.ReadAll(controller)
	if want := []byte{1, 6, 4, 3, 42, 0, 8}; err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the controller was sent %x, %v; want %x and its end", got, err, want)
	}
	second := r.accept(t)
	again := dial(t, path)
	if _, err := again.Write([]byte{1, 3, 12, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(second, make([]byte, 4)); err != nil {
		t.Fatal("the next guest does not reach its controller:", err)
	}
}

func TestEndOfTheRadioEndsTheRelay(t *testing.T) {
	r := newRadio(t)
	path, ended := relay(t, r)
	controller := r.accept(t)
	dial(t, path)
	_ = r.ln.Close()
	_ = controller.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, errRadio) {
			t.Fatalf("run = %v, want %v", err, errRadio)
		}
	case <-time.After(testTimeout):
		t.Fatal("the relay goes on without a radio")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"-radio", "x"}, {"one=y"}} {
		if err := run(t.Context(), args, io.Discard, slog.New(slog.DiscardHandler)); !errors.Is(err, errUsage) {
			t.Errorf("run(%q) = %v, want %v", args, err, errUsage)
		}
	}
}
