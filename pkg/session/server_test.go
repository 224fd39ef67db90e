package session_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
)

// TestNewSessionReplacesOld has a device come back while its old link seems alive.
func TestNewSessionReplacesOld(t *testing.T) {
	r := newReader(t)
	key := newKey(t)
	r.pair(key, "phone")
	old := r.mustDial(t, key)
	fresh := r.mustDial(t, key)
	if _, err := fresh.Hello(within(t), session.Hello{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-old.Done():
	case <-time.After(patience):
		t.Fatal("the old session lives on")
	}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if len(r.store.connected) != 2 || len(r.store.ended) != 1 || r.store.ended[0].Session != r.store.connected[0].Session {
		t.Errorf("connected %v, ended %v", r.store.connected, r.store.ended)
	}
}

func TestTooManySessions(t *testing.T) {
	r := newReader(t, func(c *session.ServerConfig) { c.MaxSessions = 2; c.MaxPairing = 1 })
	for _, name := range []string{"a", "b"} {
		key := newKey(t)
		r.pair(key, name)
		r.mustDial(t, key)
	}
	r.store.await(t, func() bool { return len(r.store.connected) == 2 })
	third := newKey(t)
	r.pair(third, "c")
	if _, err := r.dial(t, third); !errors.Is(err, session.ErrDisconnected) {
		t.Errorf("third Dial = %v; want ErrDisconnected", err)
	}
	r.window.set(true)
	first, err := session.DialPairing(within(t), r.connect(t), session.DialConfig{Identity: newKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := session.DialPairing(within(t), r.connect(t), session.DialConfig{Identity: newKey(t)}); !errors.Is(err, session.ErrDisconnected) {
		t.Errorf("second DialPairing = %v; want ErrDisconnected", err)
	}
}

func TestPairingSessionIsBounded(t *testing.T) {
	r := newReader(t, func(c *session.ServerConfig) { c.PairingTime = 50 * time.Millisecond })
	r.window.set(true)
	p, err := session.DialPairing(within(t), r.connect(t), session.DialConfig{Identity: newKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatal("a pairing session lives for ever")
	}
}

func TestUnpairAndDisconnect(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	if err := s.Unpair(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vaults(within(t)); !errors.Is(err, session.ErrNotPaired) {
		t.Errorf("Vaults after Unpair = %v; want ErrNotPaired", err)
	}
	if len(r.store.unpaired) != 1 || r.store.unpaired[0] != "phone" {
		t.Errorf("unpaired %v", r.store.unpaired)
	}
	r.server.Disconnect("somebody else")
	if s.Err() != nil {
		t.Errorf("the wrong session ended: %v", s.Err())
	}
	r.server.Disconnect("phone")
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("Disconnect does not end the session")
	}
}

// TestDeadLink cuts a link without a word: both sides notice by themselves. It
// runs on a fake clock, over pipes.
func TestDeadLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deviceKey, readerKey := newKey(t), newKey(t)
		known := &peers{}
		known.put(public(deviceKey), "phone")
		shop := newStore()
		server, err := session.NewServer(session.ServerConfig{
			Identity: readerKey, Peers: known, Provider: shop, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		device, reader := &cuttable{Conn: ours, cut: make(chan struct{})}, &cuttable{Conn: theirs, cut: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		conns := make(chan net.Conn, 1)
		conns <- reader
		go func() {
			served <- server.Serve(ctx, func(ctx context.Context) (net.Conn, error) {
				select {
				case c := <-conns:
					return c, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			})
		}()
		s, err := session.Dial(ctx, device, session.DialConfig{Identity: deviceKey, Pin: public(readerKey)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // a quiet session stays
		if _, err := s.Hello(ctx, session.Hello{}); err != nil {
			t.Fatal(err)
		}
		close(device.cut)
		close(reader.cut)
		cut := time.Now()
		<-s.Done()
		if took := time.Since(cut); took > 25*time.Second || !errors.Is(s.Err(), session.ErrDisconnected) {
			t.Errorf("the device noticed after %v: %v", took, s.Err())
		}
		time.Sleep(25*time.Second - time.Since(cut))
		synctest.Wait()
		if shop.mu.Lock(); len(shop.ended) != 1 {
			t.Error("the reader did not notice")
		}
		shop.mu.Unlock()
		cancel()
		<-served
	})
}

// cuttable is a link that, once cut, swallows what is written and delivers nothing.
type cuttable struct {
	net.Conn
	cut chan struct{}
}

func (c *cuttable) Write(p []byte) (int, error) {
	select {
	case <-c.cut:
		return len(p), nil
	default:
		return c.Conn.Write(p)
	}
}
