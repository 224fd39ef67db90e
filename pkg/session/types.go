package session

import (
	"crypto/ed25519"
	"encoding/hex"
	"time"

	"github.com/reprovision/reprovision/pkg/link"
)

// Protocol is the version of the conversation that this package speaks.
const Protocol = 1

// Limits of the conversation. Either side refuses what goes beyond with
// ErrTooLarge.
const (
	MaxBlob     = 2<<20 + 64<<10 // bytes of one sealed blob
	MaxPiece    = 32 << 10       // bytes of a blob in one message: small calls pass between two
	MaxMessage  = 1 << 20        // bytes of any message
	MaxIDs      = 32 << 10       // ids in one list
	MaxHeader   = 256 << 10      // bytes of a snapshot's sealed header
	MaxSeq      = 1 << 55        // generation of a snapshot that a reader tells of: a device counts on from there
	MaxSlots    = 16             // key slots of one vault
	MaxStrip    = 64             // outer layers that one rotation takes off
	MaxVoucher  = 128            // bytes of a voucher
	MaxSlotData = 16 << 10       // bytes of one slot
	MaxLabel    = 1 << 10        // bytes of a vault's label
	MaxName     = 64             // bytes of a host's name
	MaxText     = 512            // bytes of a text for people
	MaxPlan     = 10 * 366 * 24 * time.Hour
	MaxPIN      = 64      // bytes of a card's PIN, and of the secret behind it
	MaxProof    = 1 << 10 // bytes of a card's key, of a record, of a signature, of a challenge
)

// ID names a vault, a snapshot or a blob. Any type whose underlying type is
// [16]byte converts to it.
type ID = [16]byte

func hexID(id ID) string { return hex.EncodeToString(id[:]) }

// Peer is the paired device that makes a call, as TLS authenticated it.
type Peer struct {
	ID      string            // as the server's Peers names it
	Key     ed25519.PublicKey // pinned
	Address link.Address      // of the link's other end; zero on a link without addresses
	Session uint64            // tells the sessions of one server apart, from 1
	// Exporter is the session's channel binding (RFC 9266), 32 bytes.
	Exporter []byte
}

// CardStatus is what the reader says of its card.
type CardStatus uint8

// What a card can be. The zero value is none of them: nothing is known.
const (
	CardNone        CardStatus = iota + 1 // no card in the reader
	CardOK                                // holds the newest snapshot's critical part
	CardStale                             // still to be written
	CardOtherVault                        // holds another vault's data
	CardFull                              // too small: see Need and Have
	CardUnformatted                       // was never prepared
	CardError                             // fails: see Detail
)

// String names the status for logs and status lines.
func (s CardStatus) String() string {
	names := [...]string{"unknown", "none", "ok", "stale", "other-vault", "full", "unformatted", "error"}
	if int(s) >= len(names) {
		return names[0]
	}
	return names[s]
}

// CardState is the state of the reader's card.
type CardState struct {
	Status     CardStatus
	Generation uint64
	Need, Have uint64 // bytes
	Detail     string // for people, up to MaxText bytes
	PIN        PINTries
}

// PINTries is how many tries are left for the card's PIN. The zero value says that
// it is not known.
type PINTries struct {
	Known bool
	Left  uint32
}

// Hello is what each side says first.
type Hello struct {
	Name   string     // of the side that speaks, up to MaxName bytes
	Card   CardState  // from the reader only
	Backup BackupPlan // from the device only
	Run    ID         // from the reader only: another one after each start of its daemon; zero if it does not tell
}

// BackupPlan is when the device is next to back up (step 516). The zero plan is
// that of a device that makes no backups by itself.
type BackupPlan struct {
	Every time.Duration // whole milliseconds, up to MaxPlan
	DueIn time.Duration // less than 0: it is late already
}

// EventKind tells what an Event carries.
type EventKind uint8

// The kinds of event.
const (
	EventCard     EventKind = iota + 1 // Card: the card's state changed
	EventNotice                        // Text: a line for the device's owner
	EventUnpaired                      // the reader has just forgotten the device
	EventDamage                        // Blobs of the newest snapshot are damaged at the reader
)

// Event is something that the reader tells the device unasked.
type Event struct {
	Kind  EventKind
	Card  CardState
	Text  string // up to MaxText bytes
	Blobs uint64
}

// Slot is a key slot of a vault. Its data is nil where the caller may not have it.
type Slot struct {
	Kind string // up to MaxName bytes
	Data []byte // up to MaxSlotData
}

// Vault describes a vault on the reader to a device (step 612).
type Vault struct {
	ID        ID
	Mine      bool   // the caller owns it
	Owner     string // the owner's name, for people
	Created   time.Time
	Snapshots uint64
	Head      *Snapshot // nil while the vault is empty
	Slots     []Slot
	OnCard    bool   // the card holds its critical part
	Label     []byte // opaque
	Epoch     uint64 // of the slots
	Behind    bool   // what is there is not wrapped with the newest key yet
	Damaged   []ID   // blobs of Head that are damaged at the reader; the caller's own vaults only
}

// NewVault is a vault to be made; the caller becomes its owner.
type NewVault struct {
	ID    ID
	Label []byte // opaque
	Slots []Slot
}

// NewSlot is a key slot as a device sets it.
type NewSlot struct {
	Slot
	// Tag names the registration that a slot belongs to which opens by a check at
	// the reader (a passcode, a recovery code); zero for other slots.
	Tag ID
	// Record completes the registration that Register began in this session; nil
	// where the slot keeps the one that it has.
	Record []byte
}

// SlotChange is what the key slots of a vault are to be from now on. With Wrap it is
// a rotation: what the reader holds gets that outer layer in place of any of Strip's.
type SlotChange struct {
	Vault ID
	Slots []NewSlot
	Strip [][]byte // of 32 bytes, up to MaxStrip
	Wrap  []byte   // 32 bytes, or nil
	Epoch uint64   // higher with each change
	// Voucher is the caller's signature over slots and epoch; nil: no other reader
	// takes them from a card.
	Voucher []byte
}

// Entry is one entry of what opens a slot (step 620): of a passcode or a recovery code.
type Entry struct {
	Vault ID
	Kind  string // of the slot
}

// Snapshot is one committed data set.
type Snapshot struct {
	ID        ID
	Parent    ID // zero for a vault's first
	Seq       uint64
	Committed time.Time // by the reader's clock
	Header    []byte    // sealed
	Bytes     uint64

	// CriticalOnly says that the reader has none but the blobs of the critical
	// part: it took the snapshot from a card.
	CriticalOnly bool

	// BooksOnly says besides that the card had no room for the keys: the reader has
	// none but the blobs that the service books need.
	BooksOnly bool
}

// SnapshotQuery asks for a vault's snapshots, newest first.
type SnapshotQuery struct {
	Vault ID
	From  uint64 // the newest sequence number wanted; 0: the head's
	Limit int    // 0: all
}

// Blob is one sealed blob. Part is the part of the data set that it belongs to.
type Blob struct {
	ID   ID
	Part uint8
	Data []byte
	// From is how many bytes of the beginning of Data a Put leaves out: the reader has
	// them, as Ask has told.
	From int
}

// BlobQuery asks for blobs, in that order.
type BlobQuery struct {
	Vault    ID
	IDs      []ID
	FromCard bool   // from the card alone
	Snapshot ID     // that is being restored, which is kept meanwhile; zero for none
	Critical bool   // then, too, what else the reader says that the snapshot's critical part consists of
	Have     []byte // what an earlier call that was cut short brought of the first blob
}

// CutShort is in the chain of Get's error where part of a blob had come: the next Get
// may go on from there.
type CutShort struct {
	Blob Blob  // with as much of its data as there is
	Err  error // why no more came
}

// Error implements error.
func (e *CutShort) Error() string { return e.Err.Error() }

// Unwrap implements the interface of package errors.
func (e *CutShort) Unwrap() error { return e.Err }

// Attestation is what the card in the reader says of itself. What it is worth,
// package authorization knows.
type Attestation struct {
	Identity  string // up to MaxText bytes
	Key       []byte // SubjectPublicKeyInfo; nil for a card without a key
	Record    []byte // nil for none
	Signature []byte // by the key
}

// Commit makes the blobs that were put a snapshot.
type Commit struct {
	Vault    ID
	Snapshot ID
	Parent   ID // the head that it builds on; zero for a vault's first
	Seq      uint64
	Header   []byte // sealed
	Add      []ID   // blobs that the parent does not have
	Drop     []ID   // blobs of the parent that this one does not have
	Critical []ID   // all blobs of the critical part, in a stable order
	Anew     bool   // the caller could not load the head: Add are all blobs
	Voucher  []byte // the caller's signature; nil: no other reader takes it from a card
	Books    []ID   // those of Critical that the service books need, in the same order; none where these are all
}
