package session

import (
	"context"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// outerKey is the length of a key of the outer layer.
const outerKey = 32

// Register sends the registration request of what will open a slot of this device's
// vault, and returns the reader's answer. The record goes with ChangeSlots, in the
// same session.
func (s *Session) Register(ctx context.Context, e Entry, request []byte) (response []byte, err error) {
	m, err := s.rpc.Register(ctx, &sessionpb.RegisterRequest{Vault: e.Vault[:], Kind: e.Kind, Request: request})
	if err != nil {
		return nil, s.result(ctx, "register a passcode", err)
	}
	return m.GetResponse(), nil
}

// ChangeSlots replaces the key slots of this device's vault, all at once, and returns
// the card's state after it. Doing it again changes nothing. ErrBadRequest: a slot
// belongs to a registration that the reader does not have.
func (s *Session) ChangeSlots(ctx context.Context, c SlotChange) (CardState, error) {
	m := &sessionpb.ChangeSlotsRequest{Vault: c.Vault[:], Strip: c.Strip, Wrap: c.Wrap, Epoch: c.Epoch, Voucher: c.Voucher}
	for _, n := range c.Slots {
		m.Slots = append(m.Slots, &sessionpb.NewSlot{Kind: n.Kind, Data: n.Data, Tag: optionalID(n.Tag), Record: n.Record})
	}
	answer, err := s.rpc.ChangeSlots(ctx, m)
	if err != nil {
		return CardState{}, s.result(ctx, "change key slots", err)
	}
	return readCard(answer.GetCard()), nil
}

// Unlock sends KE1 and returns KE2 (step 620). Being answered counts as an attempt.
// ErrLockedOut: it is too early for one, or there were too many.
func (s *Session) Unlock(ctx context.Context, e Entry, ke1 []byte) (ke2 []byte, err error) {
	m, err := s.rpc.Unlock(ctx, &sessionpb.UnlockRequest{Vault: e.Vault[:], Kind: e.Kind, Ke1: ke1})
	if err != nil {
		return nil, s.result(ctx, "have the passcode checked", err)
	}
	return m.GetKe2(), nil
}

// Prove sends KE3, or nothing where KE2 did not verify, so that the reader can say so
// on its display. Nil: the reader has verified it, and ClaimVault will do.
func (s *Session) Prove(ctx context.Context, e Entry, ke3 []byte) error {
	_, err := s.rpc.Prove(ctx, &sessionpb.ProveRequest{Vault: e.Vault[:], Kind: e.Kind, Ke3: ke3})
	return s.result(ctx, "prove the passcode", err)
}

// Register implements sessionpb.ProvisioningServer.
func (s *provisioning) Register(ctx context.Context, m *sessionpb.RegisterRequest) (*sessionpb.RegisterResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	e, err := readEntry(m.GetVault(), m.GetKind(), m.GetRequest())
	if err != nil {
		return nil, err
	}
	response, err := s.provider.Register(ctx, c.peer, e, m.GetRequest())
	return &sessionpb.RegisterResponse{Response: response}, err
}

// ChangeSlots implements sessionpb.ProvisioningServer.
func (s *provisioning) ChangeSlots(ctx context.Context, m *sessionpb.ChangeSlotsRequest) (*sessionpb.ChangeSlotsResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	change, err := readSlotChange(m)
	if err != nil {
		return nil, err
	}
	card, err := s.provider.ChangeSlots(ctx, c.peer, change)
	return &sessionpb.ChangeSlotsResponse{Card: writeCard(card)}, err
}

// Unlock implements sessionpb.ProvisioningServer.
func (s *provisioning) Unlock(ctx context.Context, m *sessionpb.UnlockRequest) (*sessionpb.UnlockResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	e, err := readEntry(m.GetVault(), m.GetKind(), m.GetKe1())
	if err != nil {
		return nil, err
	}
	ke2, err := s.provider.Unlock(ctx, c.peer, e, m.GetKe1())
	return &sessionpb.UnlockResponse{Ke2: ke2}, err
}

// Prove implements sessionpb.ProvisioningServer.
func (s *provisioning) Prove(ctx context.Context, m *sessionpb.ProveRequest) (*sessionpb.ProveResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	e, err := readEntry(m.GetVault(), m.GetKind(), m.GetKe3())
	if err != nil {
		return nil, err
	}
	return &sessionpb.ProveResponse{}, s.provider.Prove(ctx, c.peer, e, m.GetKe3())
}

func readEntry(vault []byte, kind string, message []byte) (Entry, error) {
	id, err := readID(vault)
	if err != nil {
		return Entry{}, err
	}
	if kind == "" || len(kind) > MaxName || len(message) > maxProof {
		return Entry{}, fmt.Errorf("%w: a kind of slot of %d bytes, a message of %d", ErrTooLarge, len(kind), len(message))
	}
	return Entry{Vault: id, Kind: kind}, nil
}

func readSlotChange(m *sessionpb.ChangeSlotsRequest) (SlotChange, error) {
	c := SlotChange{Strip: m.GetStrip(), Wrap: m.GetWrap(), Epoch: m.GetEpoch(), Voucher: m.GetVoucher()}
	var err error
	if c.Vault, err = readID(m.GetVault()); err != nil {
		return SlotChange{}, err
	}
	if len(m.GetSlots()) > MaxSlots || len(c.Strip) > MaxStrip || len(c.Voucher) > MaxVoucher {
		return SlotChange{}, fmt.Errorf("%w: %d slots, %d layers, a voucher of %d bytes", ErrTooLarge, len(m.GetSlots()), len(c.Strip), len(c.Voucher))
	}
	keys := c.Strip
	if len(c.Wrap) > 0 {
		keys = append(slices.Clone(keys), c.Wrap)
	}
	for _, key := range keys {
		if len(key) != outerKey {
			return SlotChange{}, fmt.Errorf("%w: a key of %d bytes", ErrBadRequest, len(key))
		}
	}
	for _, s := range m.GetSlots() {
		n := NewSlot{Slot: Slot{Kind: s.GetKind(), Data: s.GetData()}, Record: s.GetRecord()}
		if n.Tag, err = readOptionalID(s.GetTag()); err != nil {
			return SlotChange{}, err
		}
		if len(n.Kind) > MaxName || len(n.Data) > MaxSlotData || len(n.Record) > maxProof {
			return SlotChange{}, fmt.Errorf("%w: a slot", ErrTooLarge)
		}
		c.Slots = append(c.Slots, n)
	}
	return c, nil
}
