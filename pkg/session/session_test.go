package session_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/session"
)

func TestVaultsAndSnapshots(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	ctx := within(t)
	if vaults, err := s.Vaults(ctx); err != nil || len(vaults) != 0 {
		t.Fatalf("Vaults of an empty reader = %v, %v", vaults, err)
	}
	made := session.NewVault{ID: id(1), Label: []byte{0xff, 1}, Slots: []session.Slot{{Kind: "device", Data: []byte("wrapped")}}}
	if err := s.CreateVault(ctx, made); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateVault(ctx, made); !errors.Is(err, session.ErrExists) {
		t.Errorf("second CreateVault = %v; want ErrExists", err)
	}
	first := session.Commit{Vault: id(1), Snapshot: id(10), Seq: 1, Header: []byte("sealed"), Add: []session.ID{id(1), id(2)}, Drop: []session.ID{id(3)}, Critical: []session.ID{id(1)}}
	card, err := s.Commit(ctx, first)
	if err != nil || card.Status != session.CardOK || card.Generation != 1 {
		t.Fatalf("Commit = %+v, %v", card, err)
	}
	if _, err := s.Commit(ctx, session.Commit{Vault: id(1), Snapshot: id(11), Parent: id(9), Seq: 2}); !errors.Is(err, session.ErrStale) {
		t.Errorf("Commit on another parent = %v; want ErrStale", err)
	}
	head := session.Snapshot{ID: id(10), Seq: 1, Committed: time.Unix(5, 6).UTC(), Header: []byte("sealed"), Bytes: 0x020101}
	want := []session.Vault{{
		ID: id(1), Mine: true, Owner: "phone", Created: time.Unix(1000, 0).UTC(), Snapshots: 1, Head: &head,
		Slots: []session.Slot{{Kind: "device"}}, Label: []byte{0xff, 1},
	}}
	if got, err := s.Vaults(ctx); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("Vaults: %v\n%s", err, cmp.Diff(want, got))
	}
	if got, err := s.Snapshots(ctx, session.SnapshotQuery{Vault: id(1)}); err != nil || cmp.Diff([]session.Snapshot{head}, got) != "" {
		t.Errorf("Snapshots: %v\n%s", err, cmp.Diff([]session.Snapshot{head}, got))
	}
	if _, err := s.Snapshots(ctx, session.SnapshotQuery{Vault: id(2)}); !errors.Is(err, session.ErrNoVault) {
		t.Errorf("Snapshots of no vault = %v; want ErrNoVault", err)
	}
	if _, err := s.ClaimVault(ctx, id(1)); !errors.Is(err, session.ErrNotAllowed) {
		t.Errorf("ClaimVault without a reader slot = %v; want ErrNotAllowed", err)
	}
}

func TestClaimVault(t *testing.T) {
	r := newReader(t)
	slots := []session.Slot{{Kind: "reader", Data: []byte("key")}}
	if err := r.store.CreateVault(context.Background(), session.Peer{ID: "old"}, session.NewVault{ID: id(1), Slots: slots}); err != nil {
		t.Fatal(err)
	}
	s := r.session(t)
	got, err := s.ClaimVault(within(t), id(1))
	if err != nil || cmp.Diff(slots, got) != "" {
		t.Errorf("ClaimVault = %v, %v", got, err)
	}
	if vaults, err := s.Vaults(within(t)); err != nil || !vaults[0].Mine {
		t.Errorf("the vault is not mine: %v, %v", vaults, err)
	}
}

func TestAttest(t *testing.T) {
	r := newReader(t)
	s, ctx := r.session(t), within(t)
	if err := s.CreateVault(ctx, session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	if card, err := s.Authorize(ctx, id(1), []byte("record")); err != nil || card.Status != session.CardOK {
		t.Fatalf("Authorize = %+v, %v", card, err)
	}
	got, err := s.Attest(ctx, id(1), []byte("challenge"))
	want := session.Attestation{Identity: `card\x1b`, Key: []byte("key"), Record: []byte("record"), Signature: []byte("challenge")}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("Attest: %v\n%s", err, cmp.Diff(want, got))
	}
	if _, err := s.Attest(ctx, id(2), []byte("challenge")); !errors.Is(err, session.ErrNoVault) {
		t.Errorf("Attest of no vault = %v; want ErrNoVault", err)
	}
	if _, err := s.Authorize(ctx, id(2), nil); !errors.Is(err, session.ErrNoVault) {
		t.Errorf("Authorize of no vault = %v; want ErrNoVault", err)
	}
}

func TestVerifyPIN(t *testing.T) {
	r := newReader(t)
	s, ctx := r.session(t), within(t)
	got, err := s.VerifyPIN(ctx, id(1), []byte("right"))
	if err != nil || string(got) != "secret" {
		t.Errorf("VerifyPIN = %q, %v", got, err)
	}
	for pin, left := range map[string]int{"wrong": 2, "silent": -1} {
		_, err := s.VerifyPIN(ctx, id(1), []byte(pin))
		remote, ok := errors.AsType[*session.RemoteError](err)
		if !errors.Is(err, session.ErrWrongPasscode) || !ok || remote.Left != left {
			t.Errorf("%s: %v with %+v", pin, err, remote)
		}
	}
	if _, err := s.VerifyPIN(ctx, id(1), []byte("blocked")); !errors.Is(err, session.ErrLockedOut) {
		t.Errorf("a blocked PIN gives %v", err)
	}
	for _, pin := range []string{"", strings.Repeat("1", session.MaxPIN+1)} {
		if _, err := s.VerifyPIN(ctx, id(1), []byte(pin)); !errors.Is(err, session.ErrBadRequest) {
			t.Errorf("a PIN of %d bytes gives %v", len(pin), err)
		}
	}
}

// TestSnapshotPages has more headers than fit into one answer.
func TestSnapshotPages(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	if err := s.CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	const count = 20
	for n := 1; n <= count; n++ {
		c := session.Commit{Vault: id(1), Snapshot: id(n), Seq: uint64(n), Header: content(n, 100<<10)}
		if n > 1 {
			c.Parent = id(n - 1)
		}
		if _, err := s.Commit(within(t), c); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Snapshots(within(t), session.SnapshotQuery{Vault: id(1)})
	if err != nil || len(all) != count {
		t.Fatalf("%d snapshots, %v; want %d", len(all), err, count)
	}
	for i, sn := range all {
		if want := count - i; sn.Seq != uint64(want) || !bytes.Equal(sn.Header, content(want, 100<<10)) {
			t.Errorf("snapshot %d at place %d", sn.Seq, i)
		}
	}
	some, err := s.Snapshots(within(t), session.SnapshotQuery{Vault: id(1), From: 18, Limit: 9})
	if err != nil || len(some) != 9 || some[0].Seq != 18 || some[8].Seq != 10 {
		t.Errorf("%d snapshots, %v", len(some), err)
	}
}

// TestErrorsTravel sends each sentinel through a session.
func TestErrorsTravel(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	for _, want := range []error{
		session.ErrNotPaired, session.ErrPairingClosed, session.ErrNoData, session.ErrNoVault, session.ErrExists,
		session.ErrStale, session.ErrNotAllowed, session.ErrCard, session.ErrWrongPasscode, session.ErrLockedOut,
		session.ErrTooLarge, session.ErrOverQuota, session.ErrBusy, session.ErrDamaged, session.ErrConflict, session.ErrBadRequest, session.ErrProtocol,
	} {
		r.store.setFailure(errors.Join(errors.New("context \x1b[2J"), want))
		_, err := s.Vaults(within(t))
		if !errors.Is(err, want) {
			t.Errorf("%v arrived as %v", want, err)
		}
		if strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("an escape arrived: %q", err)
		}
	}
	r.store.setFailure(errors.New("/var/lib/scrd/secret: broken"))
	if _, err := s.Vaults(within(t)); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an error of the reader's own arrived as %v", err)
	}
	r.store.setFailure(errors.Join(session.ErrNoData, errors.New(strings.Repeat("é", 5000))))
	if _, err := s.Vaults(within(t)); !errors.Is(err, session.ErrNoData) || len(err.Error()) > 1000 {
		t.Errorf("a long error arrived with %d bytes: %v", len(err.Error()), errors.Is(err, session.ErrNoData))
	}
	r.stop()
	if !strings.Contains(r.log.String(), "secret") {
		t.Error("the reader did not log its own error")
	}
}

func TestEvents(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	sent := []session.Event{
		{Kind: session.EventCard, Card: session.CardState{Status: session.CardNone}},
		{Kind: session.EventNotice, Text: "backup is due"},
		{Kind: session.EventDamage, Blobs: 7},
		{Kind: session.EventUnpaired},
	}
	r.store.events <- session.Event{Kind: 99} // of a later version: ignored
	for _, e := range sent {
		r.store.events <- e
	}
	stop := errors.New("enough")
	var got []session.Event
	err := s.Events(within(t), func(e session.Event) error {
		if got = append(got, e); len(got) == len(sent) {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || cmp.Diff(sent, got) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(sent, got))
	}
	result := make(chan error, 1)
	go func() { result <- s.Events(context.Background(), func(session.Event) error { return nil }) }()
	r.stop()
	if err := <-result; !errors.Is(err, session.ErrDisconnected) {
		t.Errorf("Events = %v; want ErrDisconnected", err)
	}
}

func TestCallContext(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Vaults(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Vaults = %v; want context.Canceled", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Events(ctx, func(session.Event) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Events = %v; want context.DeadlineExceeded", err)
	}
}

func TestClose(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Close")
	}
	if s.Err() != nil {
		t.Errorf("Err after Close = %v", s.Err())
	}
	if _, err := s.Vaults(within(t)); !errors.Is(err, session.ErrDisconnected) {
		t.Errorf("Vaults after Close = %v; want ErrDisconnected", err)
	}
	r.store.await(t, func() bool { return len(r.store.ended) == 1 })
	_ = s.Close()
}

func TestReaderGone(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	r.stop()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("the session outlives its reader")
	}
	if !errors.Is(s.Err(), session.ErrDisconnected) {
		t.Errorf("Err = %v; want ErrDisconnected", s.Err())
	}
	if _, err := s.Vaults(within(t)); !errors.Is(err, session.ErrDisconnected) {
		t.Errorf("Vaults = %v; want ErrDisconnected", err)
	}
}
