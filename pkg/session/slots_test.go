package session_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// TestSlotCalls carries what steps 616 to 620 say, in both directions.
func TestSlotCalls(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	ctx := within(t)
	id := session.ID{1}
	if err := s.CreateVault(ctx, session.NewVault{ID: id}); err != nil {
		t.Fatal(err)
	}
	e := session.Entry{Vault: id, Kind: "passcode"}
	if got, err := s.Register(ctx, e, []byte("request")); err != nil || string(got) != "passcoderequest" {
		t.Errorf("register: %q, %v", got, err)
	}
	want := session.SlotChange{
		Vault: id, Strip: [][]byte{bytes.Repeat([]byte{1}, 32)}, Wrap: bytes.Repeat([]byte{2}, 32),
		Slots: []session.NewSlot{
			{Slot: session.Slot{Kind: "passcode", Data: []byte("sealed")}, Tag: session.ID{7}, Record: []byte("record")},
			{Slot: session.Slot{Kind: "card-pin", Data: []byte("other")}},
		},
	}
	if card, err := s.ChangeSlots(ctx, want); err != nil || card.Generation != 9 {
		t.Errorf("change: %v, %v", card, err)
	}
	if !reflect.DeepEqual(r.store.change, want) {
		t.Errorf("the reader got %+v", r.store.change)
	}
	mine, err := s.Exporter()
	if err != nil || len(mine) != 32 {
		t.Fatal(err)
	}
	if ke2, err := s.Unlock(ctx, e, []byte("ke1")); err != nil || !bytes.Equal(ke2, append([]byte("passcode"), mine...)) {
		t.Errorf("unlock: the reader has another channel binding: %v", err)
	}
	_, err = s.Unlock(ctx, e, nil)
	remote, ok := errors.AsType[*session.RemoteError](err)
	if !ok || !errors.Is(err, session.ErrLockedOut) || remote.RetryAfter != time.Minute {
		t.Errorf("too early: %v", err)
	}
	if err := s.Prove(ctx, e, []byte("ke3")); err != nil {
		t.Errorf("prove: %v", err)
	}
	if err := s.Prove(ctx, e, nil); !errors.Is(err, session.ErrWrongPasscode) {
		t.Errorf("prove nothing: %v", err)
	}
}

// TestBadSlotRequests sends what no honest device sends.
func TestBadSlotRequests(t *testing.T) {
	r := newReader(t)
	rpc := sessionpb.NewProvisioningClient(raw(t, r, "reprovision/1"))
	ctx := within(t)
	id, huge := make([]byte, 16), make([]byte, 1025)
	slots := func(n *sessionpb.NewSlot, count int) *sessionpb.ChangeSlotsRequest {
		m := &sessionpb.ChangeSlotsRequest{Vault: id}
		for range count {
			m.Slots = append(m.Slots, n)
		}
		return m
	}
	for name, call := range map[string]func() error{
		"no vault": func() error { _, err := rpc.Register(ctx, &sessionpb.RegisterRequest{Kind: "x"}); return err },
		"no kind":  func() error { _, err := rpc.Unlock(ctx, &sessionpb.UnlockRequest{Vault: id}); return err },
		"huge request": func() error {
			_, err := rpc.Register(ctx, &sessionpb.RegisterRequest{Vault: id, Kind: "x", Request: huge})
			return err
		},
		"huge ke1": func() error {
			_, err := rpc.Unlock(ctx, &sessionpb.UnlockRequest{Vault: id, Kind: "x", Ke1: huge})
			return err
		},
		"huge ke3": func() error {
			_, err := rpc.Prove(ctx, &sessionpb.ProveRequest{Vault: id, Kind: "x", Ke3: huge})
			return err
		},
		"short key": func() error {
			_, err := rpc.ChangeSlots(ctx, &sessionpb.ChangeSlotsRequest{Vault: id, Wrap: id})
			return err
		},
		"long key": func() error {
			_, err := rpc.ChangeSlots(ctx, &sessionpb.ChangeSlotsRequest{Vault: id, Strip: [][]byte{huge}})
			return err
		},
		"many layers": func() error {
			_, err := rpc.ChangeSlots(ctx, &sessionpb.ChangeSlotsRequest{Vault: id, Strip: slices.Repeat([][]byte{huge[:32]}, 65)})
			return err
		},
		"huge voucher": func() error {
			_, err := rpc.ChangeSlots(ctx, &sessionpb.ChangeSlotsRequest{Vault: id, Voucher: huge})
			return err
		},
		"no such vault": func() error { _, err := rpc.ChangeSlots(ctx, slots(&sessionpb.NewSlot{Kind: "x"}, 1)); return err },
		"many slots":    func() error { _, err := rpc.ChangeSlots(ctx, slots(&sessionpb.NewSlot{Kind: "x"}, 17)); return err },
		"bad tag":       func() error { _, err := rpc.ChangeSlots(ctx, slots(&sessionpb.NewSlot{Tag: huge}, 1)); return err },
		"huge record":   func() error { _, err := rpc.ChangeSlots(ctx, slots(&sessionpb.NewSlot{Record: huge}, 1)); return err },
		"huge slot": func() error {
			_, err := rpc.ChangeSlots(ctx, slots(&sessionpb.NewSlot{Data: make([]byte, 16<<10+1)}, 1))
			return err
		},
	} {
		switch c := code(call()); c {
		case sessionpb.Failure_BAD_REQUEST, sessionpb.Failure_TOO_LARGE, sessionpb.Failure_NO_VAULT:
		default:
			t.Errorf("%s: %v", name, c)
		}
	}
}
