package session_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
)

func TestPairedDeviceIsServed(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	hello, err := s.Hello(within(t), session.Hello{Name: "Robin's phone"})
	if err != nil || hello.Name != "phone/Robin's phone" {
		t.Fatalf("Hello = %+v, %v", hello, err)
	}
	want := session.CardState{Status: session.CardFull, Generation: 7, Need: 10, Have: 5, Detail: "small", PIN: session.PINTries{Known: true, Left: 1}}
	if hello.Card != want {
		t.Errorf("card = %+v; want %+v", hello.Card, want)
	}
	if hello.Run != (session.ID{7}) {
		t.Errorf("run = %x", hello.Run)
	}
	if s.BytesSent() == 0 || s.BytesReceived() == 0 {
		t.Error("no bytes were counted")
	}
	if s.Err() != nil {
		t.Errorf("Err of a living session: %v", s.Err())
	}
}

func TestUnpairedDeviceIsRefused(t *testing.T) {
	r := newReader(t)
	r.window.set(true) // an open window does not help
	if _, err := r.dial(t, newKey(t)); !errors.Is(err, session.ErrNotPaired) {
		t.Errorf("Dial = %v; want ErrNotPaired", err)
	}
}

func TestForgottenDeviceIsRefused(t *testing.T) {
	r := newReader(t)
	key := newKey(t)
	r.pair(key, "phone")
	r.mustDial(t, key)
	r.peers.remove("phone")
	if _, err := r.dial(t, key); !errors.Is(err, session.ErrNotPaired) {
		t.Errorf("Dial = %v; want ErrNotPaired", err)
	}
}

func TestOtherReaderIsRefused(t *testing.T) {
	r := newReader(t)
	key := newKey(t)
	r.pair(key, "phone")
	_, err := session.Dial(within(t), r.connect(t), session.DialConfig{Identity: key, Pin: public(newKey(t))})
	if !errors.Is(err, session.ErrWrongPeer) {
		t.Errorf("Dial = %v; want ErrWrongPeer", err)
	}
}

func TestClosedWindow(t *testing.T) {
	r := newReader(t)
	cfg := session.DialConfig{Identity: newKey(t)}
	if _, err := session.DialPairing(within(t), r.connect(t), cfg); !errors.Is(err, session.ErrPairingClosed) {
		t.Errorf("DialPairing = %v; want ErrPairingClosed", err)
	}
	never := newReader(t, func(c *session.ServerConfig) { c.Pairing = nil })
	if _, err := session.DialPairing(within(t), never.connect(t), cfg); !errors.Is(err, session.ErrPairingClosed) {
		t.Errorf("DialPairing with a reader that pairs with nobody = %v; want ErrPairingClosed", err)
	}
}

func TestPairingSession(t *testing.T) {
	r := newReader(t)
	r.window.set(true)
	key := newKey(t)
	p, err := session.DialPairing(within(t), r.connect(t), session.DialConfig{Identity: key})
	if err != nil {
		t.Fatal(err)
	}
	if name, err := p.Start(within(t), "phone"); err != nil || name != "reader of phone" {
		t.Errorf("Start = %q, %v", name, err)
	}
	if ke2, err := p.Exchange(within(t), []byte("ke1")); err != nil || string(ke2) != "re: ke1" {
		t.Errorf("Exchange = %q, %v", ke2, err)
	}
	if err := p.Finish(within(t), []byte("wrong")); !errors.Is(err, session.ErrWrongPasscode) {
		t.Errorf("Finish = %v; want ErrWrongPasscode", err)
	}
	if err := p.Finish(within(t), []byte("right")); err != nil {
		t.Errorf("Finish = %v", err)
	}
	if _, err := p.Exchange(within(t), make([]byte, 2000)); !errors.Is(err, session.ErrTooLarge) {
		t.Errorf("Exchange of 2000 bytes = %v; want ErrTooLarge", err)
	}
	_, err = p.Exchange(within(t), []byte("too early"))
	remote, ok := errors.AsType[*session.RemoteError](err)
	if !ok || !errors.Is(err, session.ErrLockedOut) || remote.RetryAfter != 1500*time.Millisecond {
		t.Errorf("Exchange = %v; want a RemoteError with 1.5 s", err)
	}
	if !p.ReaderKey().Equal(public(r.key)) {
		t.Error("ReaderKey is somebody else's")
	}
	r.window.mu.Lock()
	seen := r.window.seen[0]
	r.window.mu.Unlock()
	if !seen.Key.Equal(public(key)) || string(seen.Exporter) != string(p.Exporter()) || len(seen.Exporter) != 32 {
		t.Error("the two sides see different sessions")
	}
	_ = p.Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		r.window.mu.Lock()
		gone := len(r.window.gone) == 1 && r.window.gone[0] == seen.Session
		r.window.mu.Unlock()
		if gone {
			break
		}
		if time.Now().After(end) {
			t.Fatal("Gone was not called")
		}
	}
}

// TestExportersDiffer is what makes a relay fail: each TLS session has its own.
func TestExportersDiffer(t *testing.T) {
	r := newReader(t)
	r.window.set(true)
	seen := make(map[string]bool)
	for range 3 {
		p, err := session.DialPairing(within(t), r.connect(t), session.DialConfig{Identity: newKey(t)})
		if err != nil {
			t.Fatal(err)
		}
		seen[string(p.Exporter())] = true
		_ = p.Close()
	}
	if len(seen) != 3 {
		t.Errorf("%d different exporters of 3 sessions", len(seen))
	}
}

func TestSilentAndGarbagePeers(t *testing.T) {
	r := newReader(t, func(c *session.ServerConfig) { c.HandshakeTime = 200 * time.Millisecond })
	silent := r.connect(t)
	garbage := r.connect(t)
	if _, err := garbage.Write([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 100))); err != nil {
		t.Fatal(err)
	}
	readAll(garbage) // returns when the reader hangs up
	readAll(silent)
	r.session(t)
}

// TestStrangersCannotFillTheReader opens more silent connections than there is
// room for, and gets through all the same.
func TestStrangersCannotFillTheReader(t *testing.T) {
	r := newReader(t, func(c *session.ServerConfig) { c.MaxHandshakes = 3; c.HandshakeTime = patience })
	for range 10 {
		r.connect(t)
	}
	r.session(t)
}

func TestSilentReader(t *testing.T) {
	l, err := net.Listen("unix", newReader(t).path+"2")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := session.DialConfig{Identity: newKey(t), Pin: public(newKey(t)), HandshakeTime: 50 * time.Millisecond}
	dial := func(ctx context.Context) error {
		conn, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = session.Dial(ctx, conn, cfg)
		if _, werr := conn.Write([]byte{0}); !errors.Is(werr, net.ErrClosed) {
			t.Errorf("conn is still open: %v", werr)
		}
		return err
	}
	if err := dial(context.Background()); !errors.Is(err, session.ErrDisconnected) {
		t.Errorf("Dial = %v; want ErrDisconnected", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial = %v; want context.Canceled", err)
	}
}

func TestDialNeedsKeys(t *testing.T) {
	r := newReader(t)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	for name, cfg := range map[string]session.DialConfig{
		"no pin":      {Identity: newKey(t)},
		"no identity": {Pin: public(r.key)},
		"ECDSA":       {Identity: ec, Pin: public(r.key)},
	} {
		if _, err := session.Dial(within(t), r.connect(t), cfg); err == nil {
			t.Errorf("%s: dialled", name)
		}
	}
	if _, err := session.NewServer(session.ServerConfig{Identity: r.key}); err == nil {
		t.Error("a server without peers and provider was made")
	}
}
