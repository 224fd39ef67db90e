package session

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// Attest has the card in the reader answer a challenge. ErrCard: the card of the
// vault is not in the reader.
func (s *Session) Attest(ctx context.Context, vault ID, challenge []byte) (Attestation, error) {
	const call = "ask for the card's proof"
	m, err := s.rpc.Attest(ctx, &sessionpb.AttestRequest{Vault: vault[:], Challenge: challenge})
	if err != nil {
		return Attestation{}, s.result(ctx, call, err)
	}
	for _, part := range [][]byte{m.GetKey(), m.GetRecord(), m.GetSignature()} {
		if len(part) > MaxProof {
			return Attestation{}, broken(call, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(part)))
		}
	}
	return Attestation{
		Identity: tame(m.GetIdentity(), MaxText), Key: m.GetKey(), Record: m.GetRecord(), Signature: m.GetSignature(),
	}, nil
}

// Authorize has the reader keep the vault's authorization record and put it on
// the card, whose state it returns.
func (s *Session) Authorize(ctx context.Context, vault ID, record []byte) (CardState, error) {
	m, err := s.rpc.Authorize(ctx, &sessionpb.AuthorizeRequest{Vault: vault[:], Record: record})
	if err != nil {
		return CardState{}, s.result(ctx, "authorize the card", err)
	}
	return readCard(m.GetCard()), nil
}
