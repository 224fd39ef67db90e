package vault

import (
	"context"
	"fmt"
)

// Upkeep is the part of a Store that keeps it small and whole. What takes long is
// done in steps, each of them whole or not made at all, so that devices wait for
// none of it for long and kill -9 between any two steps loses nothing.
type Upkeep interface {
	// Usage tells how much a vault holds; ErrNoVault.
	Usage(id VaultID) (Usage, error)
	// Remove removes the snapshots of those generations, those among them whose
	// records are damaged too. Their blobs stay until they are swept. It refuses
	// to remove the newest snapshot that reads (ErrStale), and then removes none.
	// Generations that there are not count for nothing.
	Remove(id VaultID, seqs []uint64) error
	// Mark compares what is stored with what the snapshots name. While a snapshot's
	// record is damaged nobody knows what it names: ErrDamaged.
	Mark(id VaultID) (Marked, error)
	// Sweep removes blobs that Mark found to be garbage, all in one step: hand on
	// Part by Part. ErrStale: there is another newest snapshot since, which
	// may name any of them; nothing was removed then. A blob that was staged
	// meanwhile stays.
	Sweep(m Marked) error
	// Inspect verifies the digests of stored blobs in the order of their ids,
	// from the one behind after on (zero: the first), until it has read limit bytes.
	Inspect(id VaultID, after BlobID, limit int64) (Inspection, error)
	// SetDamaged remembers that blobs are damaged or lost. From then on Missing
	// names them, until a Put heals them. Those that are neither stored nor named by
	// a snapshot are passed over.
	SetDamaged(id VaultID, blobs []BlobID) error
	// Damaged lists the blobs that are known to be damaged, in order.
	Damaged(id VaultID) ([]BlobID, error)
	// Compact gives the space back that is free inside of the store, where that is
	// much and there is room for a copy beside it. It gives up, without an
	// error, when the store is written to meanwhile. It returns by how many bytes
	// the store shrank.
	Compact(ctx context.Context) (freed int64, err error)
}

// Usage is how much there is of a vault.
type Usage struct {
	Blobs int64
	Bytes int64 // sealed
}

// Marked is what Mark found out.
type Marked struct {
	Vault   VaultID
	Head    SnapshotID // the newest snapshot then; zero for none
	Garbage []BlobID   // stored, and named neither by a snapshot nor by the stage
	Lost    []BlobID   // named by a snapshot, and not stored
}

// Part is what is to be swept in the step that begins with the n-th blob, of at
// most size blobs.
func (m Marked) Part(n, size int) Marked {
	m.Garbage, m.Lost = m.Garbage[n:min(n+size, len(m.Garbage))], nil
	return m
}

// Inspection is what Inspect read.
type Inspection struct {
	Last  BlobID // the last one that was read, to go on behind
	End   bool   // there is none behind it
	Bytes int64  // that were read
	Bad   []BlobID
}

// DamagedSnapshots is the error about snapshot records that do not read. It
// unwraps to ErrDamaged.
type DamagedSnapshots struct {
	Seqs []uint64 // their generations
	Err  error    // says what is wrong with each
}

// Error implements error.
func (e *DamagedSnapshots) Error() string {
	return fmt.Sprintf("%d snapshot records: %v", len(e.Seqs), e.Err)
}

// Unwrap returns the reason.
func (e *DamagedSnapshots) Unwrap() error { return e.Err }

// Healer is a Store that takes the bytes of a damaged blob back from a copy of them, such as the
// one on a card.
type Healer interface {
	// Heal replaces those damaged blobs of which the digest is whole and is that of the copy, and
	// lists them. A copy of anything else changes nothing, and neither does one of a blob that
	// reads or is lost: anybody can write an id on a card.
	Heal(id VaultID, copies []StoredBlob) (healed []BlobID, err error)
}
