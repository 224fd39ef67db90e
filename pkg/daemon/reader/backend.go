package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Press is the button (step 410): it opens the pairing window, and the display
// shows the address (step 412).
func (d *Daemon) Press(ctx context.Context) (busapi.DisplayInfo, error) {
	if err := d.press(); err != nil {
		return busapi.DisplayInfo{}, err
	}
	return d.Display(ctx)
}

func (d *Daemon) press() error {
	if err := d.linkError(); err != nil && !errors.Is(err, bluez.ErrStarting) {
		return fmt.Errorf("cannot open the pairing window: %w", err)
	}
	d.pairing.Press()
	return nil
}

// Display tells what the display shows.
func (d *Daemon) Display(context.Context) (busapi.DisplayInfo, error) {
	v := d.panel.View()
	return busapi.DisplayInfo{
		State: string(v.State), Address: d.listener.Address().Text(), Passcode: v.Passcode, Lines: v.Lines(),
	}, nil
}

// Devices lists the paired devices.
func (d *Daemon) Devices(context.Context) ([]busapi.PeerInfo, error) {
	peers, err := d.keys.Peers()
	if err != nil {
		return nil, err
	}
	used, err := d.used()
	if err != nil {
		return nil, err
	}
	out := make([]busapi.PeerInfo, 0, len(peers))
	for _, p := range peers {
		u, err := d.usageOf(p.ID, used)
		if err != nil {
			return nil, err
		}
		out = append(out, busapi.PeerInfo{
			ID: p.ID, Name: p.Name, Address: p.Address, Paired: p.Paired.Unix(), InRange: d.presence.here(p.ID), Usage: &u,
		})
	}
	return out, nil
}

// Forget ends the pairing with a device, given by its id or its name. Its data
// stay, for its successor.
func (d *Daemon) Forget(ctx context.Context, device string) error {
	p, err := d.device(device)
	if err != nil {
		return err
	}
	if err := d.unpin(p.ID); err != nil {
		return err
	}
	if d.presence.tell(p.ID, session.Event{Kind: session.EventUnpaired}) {
		select { // the word needs a moment to arrive
		case <-time.After(farewell):
		case <-ctx.Done():
		}
	}
	d.server.Disconnect(p.ID)
	if a, err := link.ParseAddress(p.Address); err == nil {
		d.bluetooth.forget(ctx, bluez.Address(a))
	}
	d.event("pairing", map[string]any{"state": "forgotten", "device": p.ID})
	d.bus.Refresh()
	return nil
}

// farewell is how long a forgotten device has to hear that it is.
const farewell = 300 * time.Millisecond

func (d *Daemon) device(name string) (keyring.Peer, error) {
	peers, err := d.keys.Peers()
	if err != nil {
		return keyring.Peer{}, err
	}
	var found []keyring.Peer
	for _, p := range peers {
		if p.ID == name {
			return p, nil
		}
		if p.Name == name {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return keyring.Peer{}, fmt.Errorf("%w: no paired device is called %q", busapi.ErrInvalidArguments, name)
	case 1:
		return found[0], nil
	}
	return keyring.Peer{}, fmt.Errorf("%w: %d paired devices are called %q: name one by its id", busapi.ErrInvalidArguments, len(found), name)
}

// Status tells how things stand.
func (d *Daemon) Status(ctx context.Context) (busapi.ReaderStatus, error) {
	st := busapi.ReaderStatus{Name: d.cfg.Name, Address: d.listener.Address().Text(), Card: d.card()}
	if err := d.linkError(); err != nil {
		st.LinkError = err.Error()
	}
	if until := d.pairing.Until(); !until.IsZero() {
		st.PairingOpen, st.PairingUntil = true, until.Unix()
	}
	var err error
	if st.Devices, err = d.Devices(ctx); err != nil {
		return st, err
	}
	peers, err := d.keys.Peers()
	if err != nil {
		return st, err
	}
	st.Overdue, _, _ = d.plans.look(peers)
	return st, d.statusOfStore(&st)
}

// statusOfStore tells how much is stored, and what of it is damaged.
func (d *Daemon) statusOfStore(st *busapi.ReaderStatus) error {
	records, err := readable(d.store, d.log)
	if err != nil {
		return err
	}
	m := d.ledger.scrub()
	st.Vaults, st.LastScrub, st.Scrubbing = int64(len(records)), m.Finished, m.Vault != ""
	for _, r := range records {
		u, err := d.store.Usage(r.ID)
		if err != nil {
			return err
		}
		st.Stored += u.Bytes
		damage, err := d.damageIn(r)
		if err != nil {
			return err
		}
		st.DamagedBlobs += int64(len(damage))
		st.Damage = append(st.Damage, damage[:min(len(damage), maxDamage-len(st.Damage))]...)
	}
	return nil
}

// CardVerify reads the whole card back.
func (d *Daemon) CardVerify(ctx context.Context) (busapi.CardReport, error) {
	var report busapi.CardReport
	err := d.mirror.visit(ctx, func(ctx context.Context, m card.Medium) error {
		found, err := card.NewStore(m).Verify(ctx)
		if err != nil {
			return err
		}
		report = cardReport(found)
		if found.Newest < 0 {
			return blankOnly(found)
		}
		p, err := vault.UnmarshalPortable(found.Data)
		report.Blobs = int64(len(p.Blobs))
		return err
	})
	report.Card = d.card()
	if err != nil {
		return report, fmt.Errorf("%w: cannot read it back: %w", busapi.ErrCard, err)
	}
	if !report.Whole { // what was lost is in the store, perhaps
		d.mirror.rouse()
	}
	return report, nil
}

// cardReport says of both versions on a card what is wrong with them.
func cardReport(found card.Report) busapi.CardReport {
	report := busapi.CardReport{Whole: found.Newest >= 0 && found.Lost() == 0, Bytes: int64(len(found.Data)), Lost: found.Lost()}
	for i, s := range found.Slots {
		report.Versions = append(report.Versions, busapi.CardVersion{
			State: s.State.String(), Generation: s.Generation, Bytes: int64(s.Length), Newest: i == found.Newest,
		})
	}
	return report
}

// blankOnly tells a card that nothing was written to from one of which nothing is whole: that
// is a finding, and no failure to look.
func blankOnly(found card.Report) error {
	for _, s := range found.Slots {
		if s.State != card.SlotBlank {
			return nil
		}
	}
	return card.ErrBlank
}
