package card

import "context"

// Reader knows which card is in one card reader and lends it out.
type Reader interface {
	// Run watches for insertion and removal until ctx ends and then returns nil.
	// Events go to the callback that the implementation was made with, one at a
	// time and in order, from a goroutine of Run; the callback must return soon.
	// The first event tells the state at the start.
	Run(ctx context.Context) error

	// WithCard calls fn with the card that is in the reader, inside one
	// transaction that nobody else can interfere with. Transactions are to be
	// short; ctx bounds the wait for the card and everything fn does. The
	// Medium is void when fn returns. WithCard works whether Run runs or not.
	// Without a card it returns ErrNoCard, or calls fn with a Medium that does,
	// where Format can create the card.
	WithCard(ctx context.Context, fn func(ctx context.Context, m Medium) error) error
}

// Several is a Reader that can have several cards in at a time, in readers that
// have names. Reader's own methods then are about the first of them with a store of
// ours.
type Several interface {
	Reader

	// Cards names the readers that have a card in now, the one used last first. No
	// transaction with any of them is needed for that.
	Cards(ctx context.Context) ([]string, error)

	// WithCardIn is as WithCard, with the card in the reader of that name and no
	// other. Without it the error is ErrNoCard or ErrNoReader.
	WithCardIn(ctx context.Context, reader string, fn func(ctx context.Context, m Medium) error) error
}

// EventKind says what happened at a reader.
type EventKind int

// The kinds of events.
const (
	// EventInserted: a card is in the reader. Without an EventRemoved before it,
	// the identity of the card changed: it was formatted, exchanged unseen, or
	// could not be read at first; or, with another Reader, the card there is the
	// first with a store of ours.
	EventInserted EventKind = iota + 1

	// EventRemoved: no card is in the reader any more; nor in any other, unless
	// Beside names them.
	EventRemoved

	// EventUnavailable: nothing can be said about cards. Err is ErrNoService or
	// ErrNoReader. A card that was in counts as removed.
	EventUnavailable
)

// String is the kind in a word, for logs.
func (k EventKind) String() string {
	switch k {
	case EventInserted:
		return "inserted"
	case EventRemoved:
		return "removed"
	case EventUnavailable:
		return "unavailable"
	}
	return "unknown"
}

// Event tells the state of a reader from now on.
type Event struct {
	Kind     EventKind
	Reader   string // the reader's name, "" if there is none
	Identity string // EventInserted: as Medium.Identity, "" while it is not known
	Beside   string // the readers that have a card beside that, a line "NAME #COUNT" each; when they change, the event comes again
	Err      error  // EventInserted: why the card cannot be read (yet); EventUnavailable: the reason
}
