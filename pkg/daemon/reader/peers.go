package reader

import (
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
	return d.keys.RemovePeer(id)
}

// rename keeps the name that a device calls itself up to date. A device that
// was forgotten meanwhile stays forgotten.
func (d *Daemon) rename(p session.Peer, name string) {
	d.pinning.Lock()
	defer d.pinning.Unlock()
	known, err := d.keys.Peer(p.ID)
	if err != nil || known.Name == name || name == "" {
		return
	}
	if err := d.keys.PutPeer(keyring.NewPeer(known.PublicKey, name, known.Address, known.Paired)); err != nil {
		d.log.Warn("cannot note a device's new name", "device", p.ID, "error", err)
	}
}
