package card

import "context"

// Slots is the number of slots on a card, A and B. Slot numbers are 0 and 1.
const Slots = 2

// Medium is one card's storage for the length of one transaction. It is not safe
// for concurrent use. Errors wrap the sentinels of this package, so ErrRemoved
// once the card is gone. A Medium is a SlotMedium or a VersionMedium as well, and
// may be a PIN, a Key and a Secret: callers ask by a type assertion.
type Medium interface {
	// Identity distinguishes this card from others of its kind, so that an
	// exchange is noticed. It was read from the card when the transaction
	// began. It changes when the card is formatted, and is "" for a card that
	// Format has yet to create.
	Identity() string

	// Layout tells what the card holds; an unformatted card is no error.
	Layout(ctx context.Context) (Layout, error)

	// Format makes our store anew, with slots of size bytes, header included;
	// size 0 means as large as the card allows. It destroys what the store held
	// and touches nothing that is not ours. Cut short, it leaves the card
	// unformatted.
	Format(ctx context.Context, size int) error
}

// SlotMedium is a Medium of two slots of equal size that are read and written at
// offsets, without atomicity. A Store keeps versions in them.
type SlotMedium interface {
	Medium

	// ReadAt fills p from offset off of a slot.
	ReadAt(ctx context.Context, slot, off int, p []byte) error

	// WriteAt writes p at offset off of a slot. When it returns nil the bytes
	// are on stable storage; after an error any part of them may be.
	WriteAt(ctx context.Context, slot, off int, p []byte) error
}

// VersionMedium is a Medium that keeps versions by itself, because its card
// cannot be written at offsets. Its methods are as those of Store, which passes
// them on.
type VersionMedium interface {
	Medium

	// Load is as Store.Load.
	Load(ctx context.Context) (Object, error)

	// Commit is as Store.Commit.
	Commit(ctx context.Context, generation uint64, data []byte) error

	// Renew is as Store.Renew.
	Renew(ctx context.Context, generation uint64, data []byte) error

	// Overwrite is as Store.Overwrite.
	Overwrite(ctx context.Context, from Overwriting, limit int) (Overwriting, error)

	// Verify is as Store.Verify.
	Verify(ctx context.Context) (Report, error)

	// Repair is as Store.Repair.
	Repair(ctx context.Context, floor uint64, data []byte) (generation uint64, err error)
}

// Layout describes a card.
type Layout struct {
	Profile   string // the kind of card: "file", "iso7816", "piv"
	Formatted bool   // our two slots are there
	SlotSize  int    // bytes in each slot, header included; 0 if not formatted
	Free      int    // bytes that Format may use for both slots; -1 if the card does not tell
	Objects   int    // profile "piv", formatted: data objects of the card that are ours
	Skipped   int    // profile "piv", formatted: objects that Format left alone, as they were not ours
	Versions  bool   // the card is a VersionMedium: a slot is all body but for its header
}

// Capacity is the number of bytes of data that one slot holds beside its header
// and the table that a Store keeps there.
func (l Layout) Capacity() int {
	if l.Versions {
		return max(l.SlotSize-HeaderSize, 0)
	}
	return slotGeometry(l.SlotSize).capacity()
}

// Channel carries command and response APDUs to one card during a transaction.
type Channel interface {
	// Transmit sends one command APDU and returns the response with its two
	// status bytes, never fewer. Errors wrap the sentinels of this package.
	Transmit(ctx context.Context, apdu []byte) ([]byte, error)

	// ATR is the card's answer to reset.
	ATR() []byte

	// T0 tells whether the transmission protocol is T=0, in which a command
	// with data never carries Le.
	T0() bool
}

// Profile opens a card of one kind through its channel and reads its identity.
// It returns ErrUnsupported for a card of another kind, so that profiles can be
// tried one after the other.
type Profile func(ctx context.Context, ch Channel) (Medium, error)
