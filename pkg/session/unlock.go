package session

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// UnlockVault has the card in the reader verify its PIN, and returns what it gives
// away then. A device that is not the vault's owner becomes it. ErrWrongPasscode
// comes with RemoteError.Left; ErrLockedOut: the card's PIN is blocked.
func (s *Session) UnlockVault(ctx context.Context, vault ID, pin []byte) (Unlocked, error) {
	const call = "unlock vault"
	m, err := s.rpc.UnlockVault(ctx, &sessionpb.UnlockVaultRequest{Id: vault[:], Pin: pin})
	if err != nil {
		return Unlocked{}, s.result(ctx, call, err)
	}
	slots, err := readSlots(m.GetSlots())
	if err == nil && (len(m.GetSecret()) == 0 || len(m.GetSecret()) > MaxPIN) {
		err = fmt.Errorf("%w: a secret of %d bytes", ErrTooLarge, len(m.GetSecret()))
	}
	if err != nil {
		return Unlocked{}, broken(call, err)
	}
	return Unlocked{Secret: m.GetSecret(), Slots: slots}, nil
}

// SetSlots replaces the key slots of a vault, at the reader and on its card,
// whose state it returns.
func (s *Session) SetSlots(ctx context.Context, vault ID, slots []Slot) (CardState, error) {
	m, err := s.rpc.SetSlots(ctx, &sessionpb.SetSlotsRequest{Id: vault[:], Slots: writeSlots(slots)})
	if err != nil {
		return CardState{}, s.result(ctx, "set key slots", err)
	}
	return readCard(m.GetCard()), nil
}
