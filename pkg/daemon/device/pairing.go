package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/pairing"
)

// Pair runs FIG. 4 with the reader that has the address (steps 414 to 422). A
// pairing that there was, with this reader or another, gives way to the new one
// and only then: a pairing that fails changes nothing.
func (d *Daemon) Pair(ctx context.Context, address string, p busapi.Prompter) (busapi.PeerInfo, error) {
	a, err := link.ParseAddress(address)
	if err != nil {
		return busapi.PeerInfo{}, fmt.Errorf("%w: %w", busapi.ErrInvalidArguments, err)
	}
	end, err := d.ops.only(ctx, activityPairing, d.pairings)
	if err != nil {
		return busapi.PeerInfo{}, err
	}
	defer end()
	id, err := d.keys.Identity()
	if err != nil {
		return busapi.PeerInfo{}, err
	}
	defer d.keeper.stepAside(a)()
	d.event("pairing", map[string]any{"state": "started", "address": a.String()})
	peer, err := pairing.Pair(ctx, pairing.DeviceConfig{
		Name: d.cfg.Name, Identity: id, Dialer: d.keeper.dialer, Prompter: asking{p, a.String()},
		Peers: d.keys, Logger: d.log, Now: d.now,
	}, a)
	if err != nil {
		d.event("pairing", map[string]any{"state": "failed", "address": a.String(), "reason": err.Error()})
		return busapi.PeerInfo{}, translate(err)
	}
	return d.paired(peer)
}

// paired makes the new reader the only one and goes to meet it. The check that
// follows a pairing (paragraph 37) is the one at the beginning of the session.
func (d *Daemon) paired(peer keyring.Peer) (busapi.PeerInfo, error) {
	if err := d.keys.UnpinCard(); err != nil { // the owner's is the next that is in the reader
		return busapi.PeerInfo{}, err
	}
	peers, err := d.keys.Peers()
	if err != nil {
		return busapi.PeerInfo{}, err
	}
	for _, p := range peers {
		if p.ID != peer.ID {
			err = errors.Join(err, d.keys.RemovePeer(p.ID))
			if p.Address != peer.Address {
				d.bluetooth.forget(p)
			}
		}
	}
	d.event("pairing", map[string]any{"state": "paired", "reader": peer.ID, "name": peer.Name})
	d.keeper.reset()
	d.bus.Refresh()
	return peerInfo(peer), err
}

// asking is the owner, as pairing sees them.
type asking struct {
	prompter busapi.Prompter
	reader   string
}

func (a asking) PairingPasscode(ctx context.Context, retry bool) (string, error) {
	return a.prompter.PairingPasscode(ctx, a.reader, retry)
}
