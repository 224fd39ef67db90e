package reader

import (
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/button"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// TestPressed presses the button: short opens the pairing window, long closes it, and a
// long one while nothing goes on does nothing.
func TestPressed(t *testing.T) {
	r := newRig(t)
	shows := func(state panel.State, open bool) {
		t.Helper()
		if v := r.d.panel.View(); v.State != state || r.d.pairing.Open() != open {
			t.Errorf("shows %+v, open %v", v, r.d.pairing.Open())
		}
	}
	r.d.pressed(button.Long)
	shows(panel.Idle, false)
	r.d.pressed(button.Short)
	shows(panel.Address, true)
	r.d.pressed(button.Long)
	shows(panel.Idle, false)
}

// TestPanelOfSettings makes as many devices as the settings name, and none that is there.
func TestPanelOfSettings(t *testing.T) {
	r := newRig(t)
	if len(r.d.screens) != 0 {
		t.Errorf("%d devices without settings", len(r.d.screens))
	}
	r.d.cfg.Panel = config.Panel{
		Terminal: "/nowhere/tty", OLED: config.OLED{Bus: "/dev/i2c-999", Address: 0x3d},
		Key: config.PanelKey{Device: "nothing", Code: 28}, GPIO: config.PanelGPIO{Chip: "/nowhere/gpiochip0", Pull: "up"},
	}
	r.must(r.d.openPanel())
	if len(r.d.screens) != 4 {
		t.Errorf("%d devices of 4", len(r.d.screens))
	}
}

// TestDisplayTellsOfCardAndData has the display say how the card stands, and what moves.
func TestDisplayTellsOfCardAndData(t *testing.T) {
	r := newRig(t)
	if v := r.d.panel.View(); v.Card != "No card" {
		t.Errorf("shows %+v", v)
	}
	_, err := r.d.CardInit(t.Context(), busapi.CardChoice{})
	r.must(err)
	if v := r.d.panel.View(); v.Card != "Card: empty" {
		t.Errorf("shows %+v", v)
	}
	p := r.pair("phone")
	id := r.create(p, 1)
	one := blob(1, 1000)
	state := r.backUp(p, id, one)
	size := int64(len(one.Data))
	if v := r.d.panel.View(); v != (panel.View{State: panel.Progress, Task: panel.Saving, Name: "phone", Bytes: size}) {
		t.Errorf("shows %+v", v)
	}
	get := func(snapshot session.ID) {
		r.must(r.d.Get(t.Context(), p, session.BlobQuery{Vault: id, IDs: []session.ID{one.ID}, Snapshot: snapshot}, func(session.Blob) error { return nil }))
	}
	r.d.still()
	if v := r.d.panel.View(); v.State != panel.Idle || v.Card != "Card: up to date" || state.Status != session.CardOK {
		t.Errorf("shows %+v, card %+v", v, state)
	}
	get(session.ID{}) // a look is no restore
	if v := r.d.panel.View(); v.State != panel.Idle {
		t.Errorf("shows %+v", v)
	}
	head, err := r.d.snapshots(vault.VaultID(id))
	r.must(err)
	get(session.ID(head[0].Snapshot))
	get(session.ID(head[0].Snapshot))
	if v := r.d.panel.View(); v.Task != panel.Restoring || v.Bytes != 2*size {
		t.Errorf("shows %+v", v)
	}
}

// TestCardTexts holds what is said of cards to the smallest display.
func TestCardTexts(t *testing.T) {
	seen := make(map[string]bool)
	for _, state := range []string{"none", "ok", "blank", "stale", "full", "unformatted", "other-vault", "error"} {
		text := cardText(state)
		if len(text) > 18 || seen[text] {
			t.Errorf("%s: %q", state, text)
		}
		seen[text] = true
	}
}
