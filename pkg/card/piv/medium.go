package piv

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// ProfileName is what Layout calls this profile.
const ProfileName = "piv"

// DefaultMaxObject is the size of the largest object that Format tries where
// Config names none, in bytes: that of a YubiKey. Larger ones break some cards.
const DefaultMaxObject = 3063

// Config says what a card does not.
type Config struct {
	// ManagementKey is the card's, of 16, 24 or 32 bytes. Without it the card
	// can be read, and nothing can be written.
	ManagementKey []byte

	// DefaultKey lets the key be used that many cards come with, and that
	// everybody knows, if ManagementKey is nil.
	DefaultKey bool

	MaxObject int  // bytes in an object, at most; 0 for DefaultMaxObject
	ShortOnly bool // no extended lengths, whatever the card says: for readers that cannot
}

// slot is one of the two places for a header.
type slot struct {
	header *header // nil if there is no valid one
	state  card.SlotState
}

// Medium is a PIV card. It implements card.VersionMedium, card.PIN, card.Key and
// card.Secret.
type Medium struct {
	client
	config Config
	atr    []byte

	shape  shape
	ready  bool // a header was found: the card is formatted
	slots  [card.Slots]slot
	stolen uint32 // objects of ours that hold something foreign by now, by bit
	admin  bool   // the management key was shown
}

// New makes the card.Profile of PIV cards. A card without the PIV application
// gives card.ErrUnsupported.
func New(config Config) card.Profile {
	if config.MaxObject == 0 {
		config.MaxObject = DefaultMaxObject
	}
	return func(ctx context.Context, ch card.Channel) (card.Medium, error) {
		m := &Medium{config: config, atr: ch.ATR()}
		m.link = iso7816.Link{Transmitter: ch, T0: ch.T0()}
		m.link.Extended = !ch.T0() && !config.ShortOnly && iso7816.ExtendedLengths(m.atr)
		if err := m.open(ctx); err != nil {
			return nil, fmt.Errorf("cannot open card: %w", err)
		}
		return m, nil
	}
}

// open selects the application and looks for our headers.
func (m *Medium) open(ctx context.Context) error {
	m.shape, m.ready, m.slots, m.stolen, m.admin = shape{}, false, [card.Slots]slot{}, 0, false
	if err := m.selectPIV(ctx); err != nil {
		if refused(err) {
			return fmt.Errorf("%w: no PIV application: %w", card.ErrUnsupported, err)
		}
		return err
	}
	seen := map[object]content{}
	for o := range object(maxObjects) {
		found, err := m.peek(ctx, o)
		if err != nil {
			return err
		}
		seen[o] = found
		if h := asHeader(found, o); h != nil {
			return m.adopt(ctx, h, seen)
		}
	}
	return nil
}

// asHeader gives the header in an object, nil if there is none whose place that is.
func asHeader(c content, o object) *header {
	if c.kind != head {
		return nil
	}
	h, err := parseHeader(c.data)
	if err != nil || h.list()[0] != o && h.list()[1] != o {
		return nil
	}
	return h
}

// adopt takes up the store that one of its headers was found of. What was seen of its
// objects is not read again.
func (m *Medium) adopt(ctx context.Context, h *header, seen map[object]content) error {
	m.shape, m.ready = h.shape, true
	for i, place := range m.shape.list()[:card.Slots] {
		found, ok := seen[place]
		if !ok {
			var err error
			if found, err = m.peek(ctx, place); err != nil {
				return err
			}
		}
		m.judge(i, place, found)
	}
	return nil
}

// judge notes what the object of a slot's header holds.
func (m *Medium) judge(i int, place object, found content) {
	m.slots[i] = slot{state: card.SlotDamaged}
	switch h := asHeader(found, place); {
	case found.kind == absent, found.kind == data: // as Format leaves it
		m.slots[i].state = card.SlotBlank
	case found.kind == foreign:
		m.stolen |= 1 << place
	case h != nil && h.shape == m.shape && h.generation == 0:
		m.slots[i] = slot{h, card.SlotBlank}
	case h != nil && h.shape == m.shape:
		m.slots[i] = slot{h, card.SlotWhole} // until its body says otherwise
	}
}

// Identity is the profile, the ATR and, once formatted, the store's random ID.
func (m *Medium) Identity() string {
	identity := ProfileName + ":" + hex.EncodeToString(m.atr)
	if m.ready {
		identity += ":" + hex.EncodeToString(m.shape.id[:])
	}
	return identity
}

// Layout tells what was found when the card was opened or formatted. PIV cards
// do not tell how much room they have.
func (m *Medium) Layout(ctx context.Context) (card.Layout, error) {
	layout := card.Layout{Profile: ProfileName, Formatted: m.ready, Free: -1, Versions: true}
	if m.ready {
		layout.SlotSize, layout.Objects = m.shape.slotSize, len(m.shape.list())
		layout.Skipped = maxObjects - layout.Objects
	}
	return layout, ctx.Err()
}

// explain turns a refusal into card.ErrRemoved if another card answers by now:
// an exchange between two polls of the reader goes unseen, but the new card has
// not been shown the management key, and so refuses.
func (m *Medium) explain(ctx context.Context, err error) error {
	if !refused(err) {
		return err
	}
	before := m.Identity()
	if again := m.open(ctx); again != nil {
		if errors.Is(again, card.ErrUnsupported) {
			again = fmt.Errorf("%w: another card is in the reader: %w", card.ErrRemoved, again)
		}
		return errors.Join(cardError(err), again)
	}
	if m.Identity() != before {
		return fmt.Errorf("%w: another card is in the reader: %w", card.ErrRemoved, err)
	}
	return cardError(err)
}

var _ card.VersionMedium = (*Medium)(nil)
