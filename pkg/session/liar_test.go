package session_test

import (
	"context"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/session"
)

// liar is a reader that answers what it likes.
type liar struct {
	*store
	blobs     []session.Blob
	snapshots []session.Snapshot
	answer    session.Attestation
	secret    []byte
}

func (l *liar) Attest(context.Context, session.Peer, session.ID, []byte) (session.Attestation, error) {
	return l.answer, nil
}

func (l *liar) Get(_ context.Context, _ session.Peer, _ session.BlobQuery, send func(session.Blob) error) error {
	for _, b := range l.blobs {
		if err := send(b); err != nil {
			return err
		}
	}
	return nil
}

func (l *liar) Snapshots(context.Context, session.Peer, session.SnapshotQuery) ([]session.Snapshot, error) {
	return l.snapshots, nil
}

func (l *liar) VerifyPIN(context.Context, session.Peer, session.ID, []byte) ([]byte, error) {
	return l.secret, nil
}

func TestLiesAboutBlobs(t *testing.T) {
	l := &liar{store: newStore()}
	r := newReader(t, func(c *session.ServerConfig) { c.Provider = l })
	s := r.session(t)
	a, b := session.Blob{ID: id(1), Data: []byte("a")}, session.Blob{ID: id(2), Data: []byte("b")}
	for name, blobs := range map[string][]session.Blob{
		"nothing":       nil,
		"one withheld":  {a},
		"wrong order":   {b, a},
		"one too many":  {a, b, b},
		"repeated":      {a, a},
		"never ordered": {a, {ID: id(3)}},
	} {
		l.blobs = blobs
		err := s.Get(within(t), session.BlobQuery{Vault: id(1), IDs: []session.ID{id(1), id(2)}}, func(session.Blob) error { return nil })
		if !errors.Is(err, session.ErrProtocol) {
			t.Errorf("%s: %v; want ErrProtocol", name, err)
		}
	}
}

// TestMoreThanAskedFor comes only to who said that it may, and after what was asked for.
func TestMoreThanAskedFor(t *testing.T) {
	l := &liar{store: newStore()}
	r := newReader(t, func(c *session.ServerConfig) { c.Provider = l })
	s := r.session(t)
	a, b, c := session.Blob{ID: id(1), Data: []byte("a")}, session.Blob{ID: id(2), Data: []byte("b")}, session.Blob{ID: id(3)}
	for name, tt := range map[string]struct {
		blobs []session.Blob
		want  error
	}{
		"none":             {blobs: []session.Blob{a, b}},
		"one":              {blobs: []session.Blob{a, b, c}},
		"in between":       {blobs: []session.Blob{a, c, b}, want: session.ErrProtocol},
		"in place of some": {blobs: []session.Blob{a}, want: session.ErrProtocol},
	} {
		l.blobs = tt.blobs
		got := 0
		q := session.BlobQuery{Vault: id(1), IDs: []session.ID{id(1), id(2)}, Critical: true}
		err := s.Get(within(t), q, func(session.Blob) error { got++; return nil })
		if !errors.Is(err, tt.want) || tt.want == nil && got != len(tt.blobs) {
			t.Errorf("%s: %d blobs, %v; want %v", name, got, err, tt.want)
		}
	}
}

func TestLiesAboutSnapshots(t *testing.T) {
	l := &liar{store: newStore()}
	r := newReader(t, func(c *session.ServerConfig) { c.Provider = l })
	s := r.session(t)
	large := make([]byte, session.MaxHeader)
	for name, seqs := range map[string][]uint64{
		"zero":             {2, 0},
		"rising":           {2, 3},
		"repeated":         {2, 2},
		"the same forever": {9, 8, 7, 6, 5, 4, 3}, // more than a page, and no progress on the second
	} {
		l.snapshots = nil
		for _, seq := range seqs {
			l.snapshots = append(l.snapshots, session.Snapshot{ID: id(int(seq)), Seq: seq, Header: large})
		}
		if _, err := s.Snapshots(within(t), session.SnapshotQuery{Vault: id(1)}); !errors.Is(err, session.ErrProtocol) {
			t.Errorf("%s: %v; want ErrProtocol", name, err)
		}
	}
	l.snapshots = []session.Snapshot{{ID: id(1), Seq: 1, Header: append(large, 0)}}
	if _, err := s.Snapshots(within(t), session.SnapshotQuery{Vault: id(1)}); !errors.Is(err, session.ErrProtocol) {
		t.Errorf("large header: %v; want ErrProtocol", err)
	}
	l.snapshots = []session.Snapshot{{ID: id(1), Seq: session.MaxSeq + 1}}
	if _, err := s.Snapshots(within(t), session.SnapshotQuery{Vault: id(1)}); !errors.Is(err, session.ErrProtocol) {
		t.Errorf("large generation: %v; want ErrProtocol", err)
	}
}

func TestLiesAboutTheCard(t *testing.T) {
	l := &liar{store: newStore()}
	r := newReader(t, func(c *session.ServerConfig) { c.Provider = l })
	s, large := r.session(t), make([]byte, session.MaxProof+1)
	for name, a := range map[string]session.Attestation{
		"key": {Key: large}, "record": {Record: large}, "signature": {Signature: large},
	} {
		l.answer = a
		if _, err := s.Attest(within(t), id(1), []byte{1}); !errors.Is(err, session.ErrProtocol) {
			t.Errorf("large %s: %v; want ErrProtocol", name, err)
		}
	}
}

func TestLiesAboutTheSecret(t *testing.T) {
	l := &liar{store: newStore()}
	r := newReader(t, func(c *session.ServerConfig) { c.Provider = l })
	s := r.session(t)
	for name, secret := range map[string][]byte{
		"none": nil, "large": make([]byte, session.MaxPIN+1),
	} {
		l.secret = secret
		if _, err := s.VerifyPIN(within(t), id(1), []byte{1}); !errors.Is(err, session.ErrProtocol) {
			t.Errorf("%s: %v; want ErrProtocol", name, err)
		}
	}
}
