package session

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// VerifyPIN has the card in the reader verify its PIN, and returns the secret that
// it gives away then: the key of the vault's card-pin slot comes from it, which
// ClaimVault returns from now on. ErrWrongPasscode comes with RemoteError.Left;
// ErrLockedOut: the card's PIN is blocked.
func (s *Session) VerifyPIN(ctx context.Context, vault ID, pin []byte) (secret []byte, err error) {
	const call = "have the card verify its PIN"
	m, err := s.rpc.VerifyPIN(ctx, &sessionpb.VerifyPINRequest{Vault: vault[:], Pin: pin})
	if err != nil {
		return nil, s.result(ctx, call, err)
	}
	if len(m.GetSecret()) == 0 || len(m.GetSecret()) > MaxPIN {
		return nil, broken(call, fmt.Errorf("%w: a secret of %d bytes", ErrTooLarge, len(m.GetSecret())))
	}
	return m.GetSecret(), nil
}

// VerifyPIN implements sessionpb.ProvisioningServer.
func (s *provisioning) VerifyPIN(ctx context.Context, m *sessionpb.VerifyPINRequest) (*sessionpb.VerifyPINResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	id, err := readID(m.GetVault())
	if err != nil {
		return nil, err
	}
	if len(m.GetPin()) == 0 || len(m.GetPin()) > MaxPIN {
		return nil, fmt.Errorf("%w: a PIN of that length", ErrBadRequest)
	}
	secret, err := s.provider.VerifyPIN(ctx, c.peer, id, m.GetPin())
	if err != nil {
		return nil, err
	}
	return &sessionpb.VerifyPINResponse{Secret: secret}, nil
}
