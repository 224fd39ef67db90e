package session

import (
	"context"
	"crypto/ed25519"
	"slices"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// PairingSession is a device's session with a reader that it is about to pair
// with (FIG. 4). The reader has shown a key, and proved nothing else.
type PairingSession struct {
	*channel
	rpc      sessionpb.PairingClient
	reader   ed25519.PublicKey
	exporter []byte
}

func newPairingSession(c *channel) (*PairingSession, error) {
	cs := c.wire.ConnectionState()
	reader, err := peerKey(cs)
	if err != nil {
		return nil, err
	}
	binding, err := exporter(cs)
	if err != nil {
		return nil, err
	}
	return &PairingSession{channel: c, rpc: sessionpb.NewPairingClient(c.client), reader: reader, exporter: binding}, nil
}

// ReaderKey is the key that the reader holds in this session: what to pin once
// the passcode is verified.
func (p *PairingSession) ReaderKey() ed25519.PublicKey { return slices.Clone(p.reader) }

// Exporter is the channel binding of this session (RFC 9266), 32 bytes: the same
// on both sides, unless somebody stands between.
func (p *PairingSession) Exporter() []byte { return slices.Clone(p.exporter) }

// Start asks for a pairing (step 416), upon which the reader displays a passcode
// (418), and returns the reader's name. Within a session it asks for a new
// passcode after a wrong one.
func (p *PairingSession) Start(ctx context.Context, deviceName string) (readerName string, err error) {
	m, err := p.rpc.Start(ctx, &sessionpb.StartRequest{DeviceName: tame(deviceName, MaxName)})
	if err != nil {
		return "", p.result(ctx, "start pairing", err)
	}
	return tame(m.GetReaderName(), MaxName), nil
}

// Exchange sends KE1 and returns KE2. Being answered costs the one guess that
// the displayed passcode allows.
func (p *PairingSession) Exchange(ctx context.Context, ke1 []byte) (ke2 []byte, err error) {
	m, err := p.rpc.Exchange(ctx, &sessionpb.ExchangeRequest{Ke1: ke1})
	if err != nil {
		return nil, p.result(ctx, "exchange passcode proofs", err)
	}
	return m.GetKe2(), nil
}

// Finish sends KE3. Nil is the reader's acknowledgement that it has verified the
// passcode and stored this device's key (step 422).
func (p *PairingSession) Finish(ctx context.Context, ke3 []byte) error {
	_, err := p.rpc.Finish(ctx, &sessionpb.FinishRequest{Ke3: ke3})
	return p.result(ctx, "finish pairing", err)
}
