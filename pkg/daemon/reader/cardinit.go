package reader

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// card is the state of the card in use for people, and of those beside it.
func (d *Daemon) card() busapi.CardInfo {
	seen := d.mirror.cards()
	info := d.cardInfo(seen[0])
	for _, s := range seen[1:] {
		o := d.cardInfo(s)
		info.Others = append(info.Others, busapi.OtherCard{
			Reader: o.Reader, State: o.State, Profile: o.Profile, Identity: o.Identity, Device: o.Device,
			Capacity: o.Capacity, Used: o.Used, Generation: o.Generation, Detail: o.Detail,
		})
	}
	return info
}

func (d *Daemon) cardInfo(seen sight) busapi.CardInfo {
	s, f := seen.state, seen.facts
	info := busapi.CardInfo{
		State: s.Status.String(), Profile: f.profile, Identity: f.identity, Capacity: f.capacity, Used: f.used,
		Needed: f.needed, LeftOut: f.leftOut, Elsewhere: f.elsewhere,
		Generation: s.Generation, Detail: s.Detail, PINTries: -1, CardKey: f.key != "", Repaired: f.repaired,
		Classes: strings.Fields(f.classes), Reader: seen.place, Device: d.deviceOf(seen.on),
	}
	if f.hasPIN {
		info.PIN, info.PINTries = f.pin.State.String(), int64(f.pin.Tries)
	}
	if f.blank && s.Status == session.CardOK {
		info.State, info.Detail = "blank", ""
	}
	return info
}

// deviceOf names the paired device that a vault is.
func (d *Daemon) deviceOf(id vault.VaultID) string {
	if id.IsZero() {
		return ""
	}
	r, err := d.store.Vault(id)
	if err != nil {
		return ""
	}
	p, err := d.keys.Peer(r.Owner)
	if err != nil {
		return ""
	}
	return p.Name
}

// CardStatus tells what is known of the card.
func (d *Daemon) CardStatus(context.Context) (busapi.CardInfo, error) { return d.card(), nil }

// CardInit prepares a card. One that is prepared already loses what it holds,
// so that takes force. Objects that are not ours are never touched, and no other
// card is than the one that the owner was asked about.
func (d *Daemon) CardInit(ctx context.Context, choice busapi.CardChoice) (busapi.CardInfo, error) {
	if names := d.mirror.readers(ctx); choice.Reader == "" && len(names) > 1 {
		return d.card(), fmt.Errorf("%w: %d readers have a card in: name one of %s",
			busapi.ErrInvalidArguments, len(names), strings.Join(names, ", "))
	}
	err := d.mirror.visitIn(ctx, choice.Reader, func(ctx context.Context, m card.Medium) error {
		return d.prepare(ctx, m, choice)
	})
	if errors.Is(err, errFormatted) {
		return d.card(), fmt.Errorf("%w: %w", busapi.ErrInvalidArguments, err)
	}
	if err != nil {
		return d.card(), fmt.Errorf("%w: cannot prepare it: %w", busapi.ErrCard, err)
	}
	d.mirror.sync(ctx, vault.VaultID{})
	d.mirror.wakeAgain()
	d.presence.tellAll(session.Event{Kind: session.EventCard}) // in the same state, perhaps, and yet another one
	return d.card(), nil
}

// prepare formats the card of a transaction.
func (d *Daemon) prepare(ctx context.Context, m card.Medium, choice busapi.CardChoice) error {
	layout, err := m.Layout(ctx)
	if err != nil && !errors.Is(err, card.ErrNoCard) {
		return err
	}
	if choice.Expect && m.Identity() != choice.Identity && (choice.Identity != "" || layout.Formatted) {
		return errOther
	}
	if layout.Formatted && !choice.Force {
		return errFormatted
	}
	if err := d.giveKey(ctx, m); err != nil { // first: a format that is cut short is done again
		return err
	}
	return m.Format(ctx, 0)
}

var (
	errFormatted = errors.New("the card is prepared already, and would lose what it holds")
	errOther     = errors.New("the card in the reader is not the one that was asked about")
)
