package iso7816

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// ProfileName is what Layout calls this profile.
const ProfileName = "iso7816"

// MaxSegmentSize is the largest EF of a slot, in bytes: an offset in READ and
// UPDATE BINARY has 15 bits, and commands with larger ones are rare on cards.
const MaxSegmentSize = 0x7FFF

// MaxSegments is the largest number of EFs that a slot is spread over.
const MaxSegments = 32

// MaxSlotSize is the largest slot, in bytes.
const MaxSlotSize = MaxSegments * MaxSegmentSize

// Our files. Only the DF's name has to be ours alone on the card; the
// identifiers of the EFs are looked up below it.
const (
	fidLabel fid = 0x5200
	fidSlotA fid = 0x5201 // first segment; 5281 to 529F are the further ones
	fidSlotB fid = 0x5202 // first segment; 52C1 to 52DF are the further ones
	fidMore  fid = 0x5280
	moreStep fid = 0x40 // from a further segment of A to that of B
)

// dfName is the name of our DF: the category of names that need no
// registration, F, then what the project is called.
func dfName() []byte { return []byte("\xF0reprovision") }

// segmentFID is the EF of one segment of a slot. Segments count from 0.
func segmentFID(slot, segment int) fid {
	if segment == 0 {
		return fidSlotA + fid(slot)
	}
	return fidMore + moreStep*fid(slot) + fid(segment)
}

// Medium is a card with a file system, each of its slots being one transparent
// EF or several. It implements card.SlotMedium and card.PIN.
type Medium struct {
	config  Config
	files   *files
	pin     pinState
	atr     []byte
	label   label
	ours    bool // our DF is there, formatted or not
	ready   bool // the label verifies: the card is formatted
	current fid  // the selected EF below our DF, 0 if that is not known
}

// Open is the card.Profile of cards with a file system. A card on which neither
// our DF nor a master file can be selected gives card.ErrUnsupported.
func Open(ctx context.Context, ch card.Channel) (card.Medium, error) {
	return open(ctx, ch, Config{PIN: DefaultPIN})
}

func open(ctx context.Context, ch card.Channel, config Config) (card.Medium, error) {
	m := &Medium{config: config, files: newFiles(Link{Transmitter: ch, T0: ch.T0()}), atr: ch.ATR()}
	if err := m.open(ctx); err != nil {
		return nil, fmt.Errorf("cannot open card: %w", err)
	}
	return m, nil
}

// open selects our DF and reads the label.
func (m *Medium) open(ctx context.Context) error {
	m.label, m.ours, m.ready, m.current = label{}, false, false, 0
	err := m.files.selectName(ctx, dfName())
	if err != nil {
		return m.withoutDF(ctx, err)
	}
	m.ours = true
	found, err := m.readLabel(ctx)
	switch {
	case err == nil:
		m.label, m.ready = found, true
	case errors.Is(err, card.ErrBadLabel), errors.Is(err, errNothingRead),
		IsStatus(err, SWNotFound, SWOutsideFile, SWEndOfFile):
	default:
		return err
	}
	return nil
}

// withoutDF tells a card without our DF from one that this profile is not for:
// one without a file system, or that knows no names.
func (m *Medium) withoutDF(ctx context.Context, err error) error {
	if IsStatus(err, SWNotFound) {
		err = m.files.selectMF(ctx)
	}
	var status StatusError
	if errors.As(err, &status) {
		return fmt.Errorf("%w: no file system: %w", card.ErrUnsupported, err)
	}
	return err
}

func (m *Medium) readLabel(ctx context.Context) (label, error) {
	if err := m.choose(ctx, fidLabel); err != nil {
		return label{}, err
	}
	b := make([]byte, card.LabelSize)
	if err := m.files.read(ctx, 0, b); err != nil {
		return label{}, err
	}
	return parseLabel(b)
}

// choose makes an EF of ours the current one.
func (m *Medium) choose(ctx context.Context, id fid) error {
	if m.current == id {
		return nil
	}
	m.current = 0
	if err := m.files.selectEF(ctx, id); err != nil {
		return fmt.Errorf("cannot select file %04X: %w", uint16(id), err)
	}
	m.current = id
	return nil
}

// Identity is the profile, the ATR and, once formatted, the label's random ID.
func (m *Medium) Identity() string {
	identity := ProfileName + ":" + hex.EncodeToString(m.atr)
	if m.ready {
		identity += ":" + m.label.String()
	}
	return identity
}

// Layout tells what was found when the card was opened or formatted. Cards do
// not tell how much room they have.
func (m *Medium) Layout(ctx context.Context) (card.Layout, error) {
	layout := card.Layout{Profile: ProfileName, Formatted: m.ready, Free: -1}
	if m.ready {
		layout.SlotSize = m.label.SlotSize
	}
	return layout, ctx.Err()
}

// ReadAt implements card.SlotMedium.
func (m *Medium) ReadAt(ctx context.Context, slot, off int, p []byte) error {
	if err := m.bounds(slot, off, len(p)); err != nil {
		return fmt.Errorf("cannot read card: %w", err)
	}
	if err := m.spread(ctx, slot, off, p, m.files.read); err != nil {
		return fmt.Errorf("cannot read card: %w", m.explain(ctx, err))
	}
	return nil
}

// WriteAt implements card.SlotMedium.
func (m *Medium) WriteAt(ctx context.Context, slot, off int, p []byte) error {
	if err := m.bounds(slot, off, len(p)); err != nil {
		return fmt.Errorf("cannot write card: %w", err)
	}
	if err := m.spread(ctx, slot, off, p, m.files.write); err != nil {
		return fmt.Errorf("cannot write card: %w", m.explain(ctx, err))
	}
	return nil
}

// spread runs transfer on every segment that a range of a slot lies in, in
// ascending order. A range within one segment is one transfer.
func (m *Medium) spread(ctx context.Context, slot, off int, p []byte, transfer func(context.Context, int, []byte) error) error {
	for size := m.label.segmentSize; len(p) > 0; {
		if err := m.choose(ctx, segmentFID(slot, off/size)); err != nil {
			return err
		}
		n := min(len(p), size-off%size)
		if err := transfer(ctx, off%size, p[:n]); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}

func (m *Medium) bounds(slot, off, n int) error {
	if !m.ready {
		return card.ErrUnformatted
	}
	if slot < 0 || slot >= card.Slots || off < 0 || n > m.label.SlotSize-off {
		return fmt.Errorf("slot %d holds no %d bytes at offset %d", slot, n, off)
	}
	return nil
}

// explain turns a refusal into card.ErrRemoved if another card answers by now:
// an exchange between two polls of the reader goes unseen, but the new card has
// no file of ours selected, and so refuses.
func (m *Medium) explain(ctx context.Context, err error) error {
	m.current = 0
	var status StatusError
	if !errors.As(err, &status) {
		return err
	}
	before := m.Identity()
	if again := m.open(ctx); again != nil {
		return errors.Join(CardError(err), again)
	}
	if m.Identity() != before {
		return fmt.Errorf("%w: another card is in the reader: %w", card.ErrRemoved, err)
	}
	return CardError(err)
}
