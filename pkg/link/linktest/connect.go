package linktest

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/reprovision/reprovision/pkg/link"
)

func testConnect(t *testing.T, p Pair) {
	device, reader := connect(t, p)
	send(t, device, "handshaking request")
	expect(t, reader, "handshaking request")
	send(t, reader, "passcode wanted")
	expect(t, device, "passcode wanted")
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if n, err := conn.Write([]byte(text)); err != nil || n != len(text) {
		t.Fatalf("Write = %d, %v", n, err)
	}
}

func expect(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != text {
		t.Fatalf("read %q, %v; want %q", b, err, text)
	}
}

func testAbsentAddress(t *testing.T, p Pair) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	conn, err := p.Dialer.Dial(ctx, p.Absent)
	if conn != nil || !errors.Is(err, link.ErrUnreachable) {
		t.Fatalf("Dial to nobody = %v, %v; want ErrUnreachable", conn, err)
	}
	connect(t, p) // the reader is still there for others
}

func testClosedListener(t *testing.T, p Pair) {
	if err := p.Listener.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := p.Listener.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := p.Listener.Accept(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v; want net.ErrClosed", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if _, err := p.Dialer.Dial(ctx, p.Listener.Address()); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("Dial after Close: %v; want ErrUnreachable", err)
	}
}

func testAcceptCancelled(t *testing.T, p Pair) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := p.Listener.Accept(ctx)
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Accept = %v; want context.Canceled", err)
	}
	connect(t, p)
}

func testDialCancelled(t *testing.T, p Pair) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Dialer.Dial(ctx, p.Listener.Address()); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial = %v; want context.Canceled", err)
	}
	connect(t, p)
}

func testAcceptedOutlivesListener(t *testing.T, p Pair) {
	device, reader := connect(t, p)
	if err := p.Listener.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	send(t, device, "still here")
	expect(t, reader, "still here")
}
