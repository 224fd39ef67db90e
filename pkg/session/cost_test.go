package session_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
)

// TestCost keeps an eye on what the conversation costs on the link, both ways.
func TestCost(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	cost := func(call func() error) uint64 {
		t.Helper()
		before := s.BytesSent() + s.BytesReceived()
		if err := call(); err != nil {
			t.Fatal(err)
		}
		return s.BytesSent() + s.BytesReceived() - before
	}
	hello := func() error { _, err := s.Hello(within(t), session.Hello{Name: "phone"}); return err }
	first := s.BytesSent() + s.BytesReceived() + cost(hello)
	if first > 6000 {
		t.Errorf("the handshake and the first call cost %d bytes", first)
	}
	_ = cost(hello)
	if later := cost(hello); later > 500 {
		t.Errorf("a small call costs %d bytes", later)
	}
	if err := s.CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	const size = 1 << 20
	bulk := cost(func() error {
		_, err := s.Put(within(t), id(1), sequence(session.Blob{ID: id(1), Data: content(1, size)}))
		return err
	})
	if overhead := float64(bulk)/size - 1; overhead > 0.02 {
		t.Errorf("bulk data costs %.1f %% more than its size", 100*overhead)
	}
	t.Logf("first call %d bytes, 1 MiB of bulk %d bytes", first, bulk)
}

// TestCycles connects, calls and drops, and requires that nothing stays behind.
func TestCycles(t *testing.T) {
	r := newReader(t)
	key := newKey(t)
	r.pair(key, "phone")
	cycle := func(politely bool) {
		conn := r.connect(t)
		s, err := session.Dial(within(t), conn, session.DialConfig{Identity: key, Pin: public(r.key)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Hello(within(t), session.Hello{}); err != nil {
			t.Fatal(err)
		}
		if !politely {
			_ = conn.Close()
			<-s.Done()
		}
		_ = s.Close()
	}
	cycle(true)
	before := runtime.NumGoroutine()
	const cycles = 40
	for i := range cycles {
		cycle(i%2 == 0)
	}
	r.store.await(t, func() bool { return len(r.store.ended) == cycles+1 })
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before+5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}
