package session_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/local"
	"github.com/reprovision/reprovision/pkg/session"
)

// radio is a link as a radio gives it: so many bytes a second each way, and a round trip.
type radio struct {
	rate int
	trip time.Duration
}

// carry passes bytes one way. What waits for the air is little: the rest stays with the sender.
func (r radio) carry(to io.WriteCloser, from io.Reader) {
	type packet struct {
		due  time.Time
		data []byte
	}
	air := make(chan packet, 1024)
	go func() {
		defer to.Close()
		for p := range air {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				break
			}
		}
		for range air { // nobody listens any more
		}
	}()
	defer close(air)
	free := time.Now()
	for {
		data := make([]byte, 1000)
		n, err := from.Read(data)
		if err != nil {
			return
		}
		if now := time.Now(); now.Sub(free) > r.trip { // it was idle, not only this goroutine late
			free = now
		}
		free = free.Add(time.Duration(n) * time.Second / time.Duration(r.rate))
		time.Sleep(time.Until(free))
		air <- packet{free.Add(r.trip / 2), data[:n]}
	}
}

// between puts the radio between the devices that dial the returned socket and the one at path.
func (r radio) between(t *testing.T, path string) string {
	t.Helper()
	via := path + ".via"
	l, err := net.Listen("unix", via)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			device, err := l.Accept()
			if err != nil {
				return
			}
			reader, err := net.Dial("unix", path)
			if err != nil {
				_ = device.Close()
				continue
			}
			go r.carry(reader, device)
			go r.carry(device, reader)
		}
	}()
	return via
}

// overLocal has a reader listen on the local link, and dials it over the radio.
func (r radio) overLocal(t *testing.T) (*reader, *session.Session) {
	t.Helper()
	dir, err := os.MkdirTemp("", "radio")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := link.Address{2, 0, 0, 0, 0, 1}
	l, err := local.Listen(local.Config{Path: filepath.Join(dir, "s"), Address: address, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	far := newReader(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- l.Run(ctx) }()
	go func() { done <- far.server.Serve(ctx, l.Accept) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
				t.Errorf("the reader: %v", err)
			}
		}
	})
	key := newKey(t)
	far.pair(key, "phone")
	conn, err := local.Dialer{Path: r.between(t, filepath.Join(dir, "s"))}.Dial(within(t), address)
	if err != nil {
		t.Fatal(err)
	}
	return far, open(t, far, key, conn)
}

func open(t *testing.T, far *reader, key ed25519.PrivateKey, conn net.Conn) *session.Session {
	t.Helper()
	s, err := session.Dial(within(t), conn, session.DialConfig{Identity: key, Pin: public(far.key)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// heartbeats measures some signs of life and returns their median.
func heartbeats(t *testing.T, s *session.Session) time.Duration {
	t.Helper()
	const n = 12
	var trips []time.Duration
	for range n {
		begun := time.Now()
		if _, err := s.Hello(within(t), session.Hello{Name: "phone"}); err != nil {
			t.Fatal(err)
		}
		trips = append(trips, time.Since(begun))
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(trips)
	return trips[n/2]
}

// TestHeartbeatsPassBulk wants a sign of life, and any small call, to take at most 100 ms
// longer while bulk data flow, whichever way those go, and the data to flow as fast as the
// link goes.
func TestHeartbeatsPassBulk(t *testing.T) {
	for name, r := range map[string]radio{
		"220 kB/s, 20 ms": {220_000, 20 * time.Millisecond},
		"80 kB/s, 60 ms":  {80_000, 60 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, s := r.overLocal(t)
			if err := s.CreateVault(within(t), session.NewVault{ID: id(9)}); err != nil {
				t.Fatal(err)
			}
			blob := session.Blob{ID: id(1), Data: content(1, 2<<20)}
			far.store.note(func() { far.store.vaults[id(9)].blobs[blob.ID] = blob })
			idle := heartbeats(t, s)
			r.loaded(t, idle, s, s.BytesReceived, func(ctx context.Context) error {
				return s.Get(ctx, session.BlobQuery{Vault: id(9), IDs: []session.ID{blob.ID}}, func(session.Blob) error { return nil })
			})
			blob.ID = id(2)
			r.loaded(t, idle, s, s.BytesSent, func(ctx context.Context) error {
				_, err := s.Put(ctx, id(9), sequence(blob))
				return err
			})
		})
	}
}

// loaded has bulk data flow and compares.
func (r radio) loaded(t *testing.T, idle time.Duration, s *session.Session, count func() uint64, bulk func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- bulk(ctx) }()
	time.Sleep(300 * time.Millisecond)
	const tries = 3 // on a machine that does much else one may be slow
	for try := 1; ; try++ {
		before, begun := count(), time.Now()
		busy := heartbeats(t, s)
		rate := float64(count()-before) / time.Since(begun).Seconds()
		t.Logf("%v idle, %v while %.0f bytes a second flow", idle, busy, rate)
		if busy <= idle+r.trip+100*time.Millisecond && rate > float64(r.rate)/2 {
			break
		}
		if try == tries {
			t.Errorf("a sign of life takes %v, and %v while nothing else flows; %.0f bytes a second at %d", busy, idle, rate, r.rate)
			break
		}
	}
	select {
	case err := <-done:
		t.Fatalf("the bulk data were through too early: %v", err)
	default:
		cancel()
		<-done
	}
}
