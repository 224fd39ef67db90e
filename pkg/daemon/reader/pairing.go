package reader

import (
	"fmt"
	"strings"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/session"
)

// newPairing makes the reader's side of FIG. 4 and puts it in front of the
// display.
func (d *Daemon) newPairing(id keyring.Identity) (*pairing.Reader, error) {
	return pairing.NewReader(pairing.ReaderConfig{
		Name: d.cfg.Name, Address: func() link.Address { return d.listener.Address() }, Key: id.Public(), Peers: pins{d}, Display: screen{d}, Logger: d.log, Now: d.now,
		OnPaired: d.paired, Window: d.cfg.Pairing.Window.Duration,
	})
}

// paired takes note of a device that was paired, or paired anew: a session that
// it had before is over.
func (d *Daemon) paired(p keyring.Peer) {
	d.server.Disconnect(p.ID)
	d.event("pairing", map[string]any{"state": "paired", "device": p.ID, "name": p.Name})
	d.presence.tell(p.ID, session.Event{Kind: session.EventCard})
	if err := d.expect(); err != nil {
		d.log.Error("cannot tell Bluetooth of the paired devices", "error", err)
	}
	d.bus.Refresh()
}

// screen shows a pairing on the panel and tells of its steps on the bus; the
// passcode itself is on the panel only.
type screen struct{ d *Daemon }

func (s screen) ShowAddress(a link.Address) {
	s.d.panel.ShowAddress(a.String())
	s.tell("open", nil)
}

func (s screen) ShowPasscode(passcode, device string) {
	s.d.panel.ShowPasscode(strings.ReplaceAll(passcode, " ", "")) // the panel groups as it has room
	s.tell("passcode", map[string]any{"name": device})
}

func (s screen) ShowPaired(device string) {
	s.d.panel.ShowPaired(device)
	s.d.bluetooth.hint()
}

func (s screen) ShowFailed(left int) {
	reason := fmt.Sprintf("Wrong passcode. %d more tries.", left)
	if left == 0 {
		reason = "Too many wrong passcodes. Press the button to start again."
	}
	s.d.panel.ShowFailed(reason)
	s.d.event("attempt", map[string]any{"what": "pairing", "left": int64(left)})
	s.tell("failed", map[string]any{"left": int64(left)})
}

func (s screen) Clear() {
	s.d.panel.Clear()
	s.tell("closed", nil)
}

func (s screen) tell(state string, fields map[string]any) {
	all := map[string]any{"state": state}
	for k, v := range fields {
		all[k] = v
	}
	s.d.event("pairing", all)
	s.d.bluetooth.hint()
	s.d.bus.Refresh()
}
