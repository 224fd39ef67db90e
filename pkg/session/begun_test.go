package session_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/reprovision/reprovision/pkg/session"
)

// frail is a connection that breaks after some bytes were written to it.
type frail struct {
	net.Conn
	left *atomic.Int64
}

func (f frail) Write(p []byte) (int, error) {
	if f.left.Add(-int64(len(p))) < 0 {
		return 0, errors.Join(net.ErrClosed, f.Close())
	}
	return f.Conn.Write(p)
}

// cutPut puts a blob over a link that breaks after so many bytes.
func cutPut(t *testing.T, r *reader, key ed25519.PrivateKey, b session.Blob, after int64) {
	t.Helper()
	left := new(atomic.Int64)
	left.Store(after)
	s, err := session.Dial(within(t), frail{r.connect(t), left}, session.DialConfig{Identity: key, Pin: public(r.key)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(within(t), id(1), sequence(b)); !errors.Is(err, session.ErrDisconnected) {
		t.Fatalf("Put = %v", err)
	}
	_ = s.Close()
}

// await asks until the reader has noticed that the link was cut, and has more than before.
func await(t *testing.T, s *session.Session, blob session.ID, before int) session.Want {
	t.Helper()
	for ctx := within(t); ; {
		w, err := s.Ask(ctx, id(1), blob)
		if err != nil {
			t.Fatal(err)
		}
		if w.Begun > before {
			return w
		}
	}
}

// TestPutGoesOnWithinABlob sends no byte of a blob again that came before the link was cut.
func TestPutGoesOnWithinABlob(t *testing.T) {
	r := newReader(t)
	key, other := newKey(t), newKey(t)
	r.pair(key, "phone")
	r.pair(other, "tablet")
	if err := r.mustDial(t, key).CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	b := session.Blob{ID: id(7), Data: content(7, 1<<20)}
	for range 2 { // further each time
		cutPut(t, r, key, b, 300_000)
		s := r.mustDial(t, key)
		w := await(t, s, b.ID, b.From)
		if !w.Missing || !w.Fits(b.Data) {
			t.Fatalf("%+v does not fit", w)
		}
		b.From = w.Begun
		_ = s.Close()
	}
	if w, err := r.mustDial(t, other).Ask(within(t), id(1), b.ID); err == nil && w.Begun > 0 {
		t.Error("another device is told")
	}
	s := r.mustDial(t, key)
	w := await(t, s, b.ID, 0)
	if w.Begun < 450_000 || !w.Fits(b.Data) || w.Fits(content(8, 1<<20)) || w.Fits(b.Data[:w.Begun]) {
		t.Fatalf("%d bytes have come", w.Begun)
	}
	sent := s.BytesSent()
	b.From = w.Begun
	if n, err := s.Put(within(t), id(1), sequence(b)); n != 1 || err != nil {
		t.Fatalf("Put = %d, %v", n, err)
	}
	if sent := int(s.BytesSent() - sent); sent > len(b.Data)-w.Begun+20_000 {
		t.Errorf("%d bytes for the rest of %d", sent, len(b.Data)-w.Begun)
	}
	err := s.Get(within(t), session.BlobQuery{Vault: id(1), IDs: []session.ID{b.ID}}, func(got session.Blob) error {
		if !bytes.Equal(got.Data, b.Data) {
			t.Error("the blob is another")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if w, err := s.Ask(within(t), id(1), b.ID); err != nil || w.Missing || w.Begun != 0 {
		t.Errorf("it is whole: %+v, %v", w, err)
	}
}

// TestPutFromNowhere refuses the rest of a blob whose beginning never came.
func TestPutFromNowhere(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	if err := s.CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	for _, from := range []int{-1, 5, 1000, 2000} {
		b := session.Blob{ID: id(7), Data: content(7, 1000), From: from}
		if _, err := s.Put(within(t), id(1), sequence(b)); !errors.Is(err, session.ErrBadRequest) {
			t.Errorf("from %d: %v", from, err)
		}
	}
}
