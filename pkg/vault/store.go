package vault

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// What a Store says no with. Branch on these by errors.Is.
var (
	ErrExists   = errors.New("the vault exists already")
	ErrNoVault  = errors.New("no such vault")
	ErrNoBlob   = errors.New("no such blob")
	ErrDamaged  = errors.New("stored bytes are damaged")
	ErrConflict = errors.New("other contents are stored under this id")
	ErrStale    = errors.New("the commit does not build on the newest snapshot")
	ErrCommit   = errors.New("not a valid commit")
	ErrRecord   = errors.New("not a valid record")
)

// BlobError says which blob an operation failed for, so that the device can
// push it again. It unwraps to ErrNoBlob, ErrDamaged, ErrConflict or ErrLimit.
type BlobError struct {
	ID  BlobID
	Err error
}

// Error implements error.
func (e *BlobError) Error() string { return fmt.Sprintf("blob %s: %v", e.ID, e.Err) }

// Unwrap returns the reason.
func (e *BlobError) Unwrap() error { return e.Err }

// Limits of records and of requests to a Store.
const (
	MaxOwner     = 256      // bytes of a record's owner
	MaxLabel     = 4 << 10  // bytes of a record's label
	MaxSlots     = 16       // key slots of a record
	MaxSlotKind  = 32       // bytes of a slot's kind
	MaxSlot      = 16 << 10 // bytes of a slot's data
	MaxAuthorize = 1 << 10  // bytes of an authorization record
	MaxVoucher   = 128      // bytes of a device's voucher
	MaxSeq       = 1 << 56  // generation of a snapshot; half of it for one that a card or a reader brought, so that more can follow
	MaxPutBlobs  = 256      // blobs of one Put
	MaxPutBytes  = 8 << 20  // bytes of one Put
	MaxAskBlobs  = 1 << 16  // ids of one Missing
	defaultVault = 64
)

// Limits bound what devices can make a Store hold. A zero field is replaced by
// DefaultLimits' value; a negative one means no limit.
type Limits struct {
	Vaults int   // in the store
	Blobs  int   // in one vault
	Bytes  int64 // of sealed blobs in one vault
}

// DefaultLimits are generous for one person's devices: 64 vaults of up to
// 262,144 blobs and 64 GiB each.
func DefaultLimits() Limits {
	return Limits{Vaults: defaultVault, Blobs: MaxCommitIDs, Bytes: 64 << 30}
}

// OrDefault replaces the zero fields.
func (l Limits) OrDefault() Limits {
	d := DefaultLimits()
	if l.Vaults == 0 {
		l.Vaults = d.Vaults
	}
	if l.Blobs == 0 {
		l.Blobs = d.Blobs
	}
	if l.Bytes == 0 {
		l.Bytes = d.Bytes
	}
	return l
}

// CheckVaults tells whether there may be that many vaults.
func (l Limits) CheckVaults(vaults int) error {
	if l.Vaults >= 0 && vaults > l.Vaults {
		return fmt.Errorf("%d vaults: %w", vaults, ErrLimit)
	}
	return nil
}

// CheckUsage tells whether a vault may hold that much.
func (l Limits) CheckUsage(blobs int, bytes int64) error {
	if l.Blobs >= 0 && blobs > l.Blobs || l.Bytes >= 0 && bytes > l.Bytes {
		return fmt.Errorf("%d blobs of %d bytes in one vault: %w", blobs, bytes, ErrLimit)
	}
	return nil
}

// Record is what the reader knows of a vault.
type Record struct {
	ID      VaultID
	Owner   string    // the peer that may use it
	Created time.Time // by the reader's clock, to the second
	Label   []byte    // opaque: sealed on the device
	Slots   []Slot
	// Epoch rises with each change of the slots: of two records of a vault, the slots
	// of the higher one hold.
	Epoch uint64
	// Voucher is the owner's device's, over slots and epoch; nil for none. Package
	// authorization knows what is in it.
	Voucher []byte
	// Behind says that the slots came on a card: what is stored here is not yet
	// wrapped with the key that they open.
	Behind bool
	// Since is the first generation after the head that the vault had when one device
	// first took it over from another; 0 where none did. A snapshot from there on that is
	// not stored may be the last one of an owner before. It stays at the reader: no card has it.
	Since uint64
	// Authorization is the record by which the owner's device knows the card
	// again; nil for none. Package authorization knows what is in it.
	Authorization []byte
}

// Slot is one way to the vault key: the key, wrapped. To the reader it is opaque.
type Slot struct {
	Kind string // "device", "passcode", "recovery", "card-pin", "reader"
	Data []byte
}

// Check holds a record against the limits; errors wrap ErrRecord.
func (r Record) Check() error {
	switch {
	case r.ID.IsZero():
		return fmt.Errorf("%w: no vault id", ErrRecord)
	case len(r.Owner) > MaxOwner || !utf8.ValidString(r.Owner):
		return fmt.Errorf("%w: an owner of %d bytes, or not UTF-8: %w", ErrRecord, len(r.Owner), ErrLimit)
	case len(r.Label) > MaxLabel || len(r.Slots) > MaxSlots:
		return fmt.Errorf("%w: a label of %d bytes, %d slots: %w", ErrRecord, len(r.Label), len(r.Slots), ErrLimit)
	case len(r.Voucher) > MaxVoucher:
		return fmt.Errorf("%w: a voucher of %d bytes: %w", ErrRecord, len(r.Voucher), ErrLimit)
	case len(r.Authorization) > MaxAuthorize:
		return fmt.Errorf("%w: an authorization of %d bytes: %w", ErrRecord, len(r.Authorization), ErrLimit)
	}
	for _, s := range r.Slots {
		if !validSlotKind(s.Kind) || len(s.Data) > MaxSlot {
			return fmt.Errorf("%w: a slot of a kind of %d bytes and data of %d: %w", ErrRecord, len(s.Kind), len(s.Data), ErrLimit)
		}
	}
	return nil
}

// validSlotKind allows lower-case letters and hyphens.
func validSlotKind(kind string) bool {
	if kind == "" || len(kind) > MaxSlotKind {
		return false
	}
	for _, r := range kind {
		if (r < 'a' || r > 'z') && r != '-' {
			return false
		}
	}
	return true
}

// SnapshotRecord is what the reader knows of a snapshot.
type SnapshotRecord struct {
	Snapshot  SnapshotID
	Parent    SnapshotID
	Seq       uint64
	Committed time.Time // by the reader's clock, to the second
	Header    []byte    // sealed
	Blobs     []BlobID
	Critical  []BlobID
	Books     []BlobID // those of Critical that the service books need; none where these are all, or that is not known
	Bytes     int64    // of all its sealed blobs together
	// Voucher is that of the device that made it; nil for none.
	Voucher []byte
}

// BooksOnly tells whether the snapshot was taken from a card that had no room for the keys.
func (s SnapshotRecord) BooksOnly() bool { return len(s.Books) > 0 && len(s.Blobs) == len(s.Books) }

// StoredBlob is a sealed blob as the reader has it.
type StoredBlob struct {
	ID     BlobID
	Sealed []byte
}

// CheckPut holds a request to store blobs against the limits.
func CheckPut(blobs []StoredBlob) error {
	if len(blobs) > MaxPutBlobs {
		return fmt.Errorf("%d blobs at once: %w", len(blobs), ErrLimit)
	}
	total := 0
	for _, b := range blobs {
		if len(b.Sealed) < SealOverhead || len(b.Sealed) > MaxBlob {
			return &BlobError{ID: b.ID, Err: fmt.Errorf("%d bytes: %w", len(b.Sealed), ErrLimit)}
		}
		total += len(b.Sealed)
	}
	if total > MaxPutBytes {
		return fmt.Errorf("%d bytes at once: %w", total, ErrLimit)
	}
	return nil
}

// Store keeps vaults at the reader: records, sealed blobs, and the snapshots
// that name them. It never has a key. Every change is whole or not made at all,
// and lasts once the call has returned, through kill -9 and power cuts. All
// methods may be called from several goroutines.
type Store interface {
	Upkeep
	// Create adds a vault; ErrExists, ErrRecord, ErrLimit.
	Create(r Record) error
	// Vaults lists all vaults by id.
	Vaults() ([]Record, error)
	// Vault returns one vault's record; ErrNoVault.
	Vault(id VaultID) (Record, error)
	// Update replaces owner, label and slots of a vault; ErrNoVault, ErrRecord.
	Update(r Record) error
	// Delete removes a vault with all that it holds; ErrNoVault. With an error that
	// wraps ErrTraces it is removed, and some of its bytes may be left on the medium.
	Delete(id VaultID) error
	// Missing returns those ids, in order, that are not stored, or that are known to
	// be damaged (SetDamaged). Staged ones are stored.
	Missing(id VaultID, blobs []BlobID) ([]BlobID, error)
	// Put stores blobs, staged until a commit names them. The same bytes once
	// more change nothing. Other bytes under a known id replace damaged ones; they
	// are refused (a BlobError of ErrConflict) otherwise, but for an id that was said
	// to be damaged and is found to be whole: that stays. It stores all or none.
	Put(id VaultID, blobs []StoredBlob) error
	// Commit makes a snapshot the newest. Its parent must be the newest so far
	// whose record reads (ErrStale; damaged records above it are removed, and
	// blobs that nothing names any more are staged) and every added blob be stored and undamaged (a BlobError of
	// ErrNoBlob or ErrDamaged). The same commit once more changes nothing.
	Commit(id VaultID, c Commit, now time.Time) error
	// Adopt takes up what a card holds: in a vault that the store has, a snapshot
	// newer than the newest whose record reads (ErrStale), and the record's label
	// and slots; else the vault as well, with the record's owner. The snapshot
	// consists of the critical part alone, or of its service books. ErrPortable, ErrLimit; a BlobError of
	// ErrConflict.
	Adopt(p Portable) error
	// Snapshots lists a vault's snapshots, the newest first. Where records are
	// damaged it returns the others, and a DamagedSnapshots.
	Snapshots(id VaultID) ([]SnapshotRecord, error)
	// Get returns a blob after its digest was verified; a BlobError of ErrNoBlob
	// or ErrDamaged.
	Get(id VaultID, blob BlobID) ([]byte, error)
	// Unstage removes the blobs that no commit has named.
	Unstage(id VaultID) error
	// Close ends the use of the store.
	Close() error
}
