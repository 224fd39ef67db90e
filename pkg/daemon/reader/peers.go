package reader

import (
	"cmp"
	"errors"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// pins is where a pairing leaves the device's key (step 422).
type pins struct{ d *Daemon }

// PutPeer pins a device that was paired.
func (p pins) PutPeer(peer keyring.Peer) error {
	p.d.pinning.Lock()
	defer p.d.pinning.Unlock()
	return p.d.keys.PutPeer(peer)
}

// unpin ends the pairing with a device.
func (d *Daemon) unpin(id string) error {
	d.pinning.Lock()
	defer d.pinning.Unlock()
	return errors.Join(d.keys.RemovePeer(id), d.expect())
}

// meet keeps the name that a device calls itself, and the address that it comes
// from, up to date. A device that was forgotten meanwhile stays forgotten.
func (d *Daemon) meet(p session.Peer, name string) {
	d.pinning.Lock()
	defer d.pinning.Unlock()
	known, err := d.keys.Peer(p.ID)
	if err != nil {
		return
	}
	now := keyring.NewPeer(known.PublicKey, cmp.Or(name, known.Name), cmp.Or(p.Address.Text(), known.Address), known.Paired)
	if now.Name == known.Name && now.Address == known.Address {
		return
	}
	if err := errors.Join(d.keys.PutPeer(now), d.expect()); err != nil {
		d.log.Warn("cannot note a device's new name or address", "device", p.ID, "error", err)
	}
}
