package vault

import (
	"errors"
	"fmt"
	"slices"
)

// Commit is what makes sealed blobs at the reader into its newest snapshot.
// Nothing in it is secret: ids are opaque and the header is sealed.
type Commit struct {
	Vault    VaultID
	Snapshot SnapshotID
	Parent   SnapshotID // the head that it builds on; zero if none
	Seq      uint64
	Header   []byte   // sealed
	Add      []BlobID // blobs that the parent does not have
	Drop     []BlobID // blobs of the parent that are no longer needed
	// Critical lists all blobs of the critical part, in a stable order with the
	// new ones last.
	Critical []BlobID
	// Books are those of Critical that the service books need, in the same order; none
	// where these are all.
	Books []BlobID
	// Anew says that the device could not load the head: of what that consists, nothing
	// counts. Add lists all blobs, stored or not by then, and Drop none.
	Anew bool
	// Voucher is the device's, for a reader that finds the snapshot on a card.
	Voucher []byte

	empty bool
}

// Empty tells whether the writer that made the commit found no difference to
// its base, so that there is nothing to commit.
func (c *Commit) Empty() bool { return c.empty }

// MaxCommitIDs is the most blobs that one snapshot consists of.
const MaxCommitIDs = 1 << 18

func (w *Writer) commit(d *DataSet, header []byte) *Commit {
	h := d.header
	c := &Commit{Vault: w.cfg.Vault, Snapshot: h.Snapshot, Parent: h.Parent, Seq: h.Seq, Header: header, Critical: d.Blobs(Critical), Books: d.Books()}
	var old []BlobID
	switch {
	case w.cfg.Base != nil:
		old = w.cfg.Base.allBlobs()
	case w.cfg.Head != nil:
		old = w.cfg.Head.Blobs
	}
	now := d.allBlobs()
	if w.cfg.Above != nil {
		c.Parent, c.Add, c.Anew = w.cfg.Above.Snapshot, now, true
		return c
	}
	c.Add, c.Drop = without(now, old), without(old, now)
	c.empty = w.cfg.Base != nil && len(c.Add)+len(c.Drop) == 0 && sameRoots(w.cfg.Base.header, h)
	return c
}

func sameRoots(a, b Header) bool {
	same := len(a.Roots) == len(b.Roots)
	for root, class := range a.Roots {
		same = same && b.Roots[root] == class
	}
	return same
}

// without returns the ids of a that b does not have.
func without(a, b []BlobID) []BlobID {
	has := make(map[BlobID]bool, len(b))
	for _, id := range b {
		has[id] = true
	}
	var left []BlobID
	for _, id := range a {
		if !has[id] {
			left = append(left, id)
		}
	}
	return left
}

// Check holds a commit that came from outside against the limits.
func (c Commit) Check() error {
	switch {
	case c.Vault.IsZero() || c.Snapshot.IsZero() || c.Seq == 0:
		return fmt.Errorf("%w: a commit without vault, snapshot or generation", ErrCommit)
	case c.Seq > MaxSeq || len(c.Voucher) > MaxVoucher || c.Anew && len(c.Drop) > 0:
		return fmt.Errorf("%w: generation %d, a voucher of %d bytes, or drops from nothing", ErrCommit, c.Seq, len(c.Voucher))
	case len(c.Header) < SealOverhead || len(c.Header) > MaxHeader+SealOverhead:
		return fmt.Errorf("%w: a header of %d bytes: %w", ErrCommit, len(c.Header), ErrLimit)
	case len(c.Add) > MaxCommitIDs || len(c.Drop) > MaxCommitIDs || len(c.Critical) > MaxCommitIDs || len(c.Books) > MaxCommitIDs:
		return fmt.Errorf("%w: too many blobs: %w", ErrCommit, ErrLimit)
	}
	if err := errors.Join(uniqueIDs(c.Add), uniqueIDs(c.Drop), uniqueIDs(c.Critical), uniqueIDs(c.Books)); err != nil {
		return fmt.Errorf("%w: %w", ErrCommit, err)
	}
	return nil
}

// Follow works out what a store has to record when the commit comes after
// head, nil for a vault's first. Generations rise, with gaps where the device has
// been at another reader meanwhile. It returns the record without Committed and
// Bytes. ErrStale says that the commit builds on another head; ErrCommit that
// its lists do not fit the head's. It is pure: every Store uses it.
func (c Commit) Follow(head *SnapshotRecord) (SnapshotRecord, error) {
	if err := c.Check(); err != nil {
		return SnapshotRecord{}, err
	}
	var old []BlobID
	if head == nil && !c.Parent.IsZero() {
		return SnapshotRecord{}, fmt.Errorf("%w: it builds on %s, and there is none", ErrStale, c.Parent)
	}
	if head != nil {
		if c.Parent != head.Snapshot || c.Seq <= head.Seq || c.Snapshot == head.Snapshot {
			return SnapshotRecord{}, fmt.Errorf("%w: it builds on %s, the head is %s", ErrStale, c.Parent, head.Snapshot)
		}
		old = head.Blobs
	}
	if c.Anew {
		old = nil
	}
	if missing := without(c.Drop, old); len(missing) > 0 {
		return SnapshotRecord{}, fmt.Errorf("%w: it drops %s, which the head does not have", ErrCommit, missing[0])
	}
	blobs := append(without(old, c.Drop), c.Add...)
	if err := uniqueIDs(blobs); err != nil {
		return SnapshotRecord{}, fmt.Errorf("%w: it adds what the head has: %w", ErrCommit, err)
	}
	if strange := without(c.Critical, blobs); len(strange) > 0 || len(blobs) > MaxCommitIDs {
		return SnapshotRecord{}, fmt.Errorf("%w: %d blobs, or a critical one among %d that is not its own", ErrCommit, len(blobs), len(c.Critical))
	}
	if strange := without(c.Books, c.Critical); len(strange) > 0 {
		return SnapshotRecord{}, fmt.Errorf("%w: %s is for the service books and not critical", ErrCommit, strange[0])
	}
	return SnapshotRecord{
		Snapshot: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Header: slices.Clone(c.Header),
		Blobs: blobs, Critical: slices.Clone(c.Critical), Books: slices.Clone(c.Books), Voucher: slices.Clone(c.Voucher),
	}, nil
}

// Repeats tells whether the commit is the one that made the snapshot, sent
// once more because its answer was lost.
func (c Commit) Repeats(s SnapshotRecord) bool {
	return c.Snapshot == s.Snapshot && c.Parent == s.Parent && c.Seq == s.Seq &&
		slices.Equal(c.Header, s.Header) && slices.Equal(c.Critical, s.Critical) && slices.Equal(c.Books, s.Books)
}
