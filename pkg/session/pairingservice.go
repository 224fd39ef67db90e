package session

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// maxProof bounds a message of OPAQUE, in bytes; the largest has 320.
const maxProof = 1024

// pairing puts the PairingProvider behind the Pairing service.
type pairing struct {
	sessionpb.UnimplementedPairingServer
	provider PairingProvider
}

// Start implements sessionpb.PairingServer.
func (s *pairing) Start(ctx context.Context, m *sessionpb.StartRequest) (*sessionpb.StartResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	name, err := s.provider.Start(ctx, c.pairingPeer(), tame(m.GetDeviceName(), MaxName))
	return &sessionpb.StartResponse{ReaderName: tame(name, MaxName)}, err
}

// Exchange implements sessionpb.PairingServer.
func (s *pairing) Exchange(ctx context.Context, m *sessionpb.ExchangeRequest) (*sessionpb.ExchangeResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if len(m.GetKe1()) > maxProof {
		return nil, fmt.Errorf("%w: KE1 of %d bytes", ErrTooLarge, len(m.GetKe1()))
	}
	ke2, err := s.provider.Exchange(ctx, c.pairingPeer(), m.GetKe1())
	return &sessionpb.ExchangeResponse{Ke2: ke2}, err
}

// Finish implements sessionpb.PairingServer.
func (s *pairing) Finish(ctx context.Context, m *sessionpb.FinishRequest) (*sessionpb.FinishResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if len(m.GetKe3()) > maxProof {
		return nil, fmt.Errorf("%w: KE3 of %d bytes", ErrTooLarge, len(m.GetKe3()))
	}
	return &sessionpb.FinishResponse{}, s.provider.Finish(ctx, c.pairingPeer(), m.GetKe3())
}
