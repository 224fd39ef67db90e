package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// idBytes is the length of a blob's key; damage may have made another of it.
const idBytes = len(vault.BlobID{})

// Usage implements vault.Upkeep.
func (s *Store) Usage(id vault.VaultID) (used vault.Usage, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err == nil {
			used = in.usage()
		}
		return err
	})
	if err != nil {
		return used, fmt.Errorf("cannot tell what a vault holds: %w", err)
	}
	return used, nil
}

// Remove implements vault.Upkeep, in one transaction.
func (s *Store) Remove(id vault.VaultID, seqs []uint64) error {
	err := s.update(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		head, _ := in.head()
		if head != nil && slices.Contains(seqs, head.Seq) {
			return fmt.Errorf("%w: generation %d is the newest", vault.ErrStale, head.Seq)
		}
		for _, seq := range seqs {
			if err := in.snapshots.Delete(seqKey(seq)); err != nil {
				return err
			}
		}
		return in.tidyDamaged()
	})
	if err != nil {
		return fmt.Errorf("cannot remove snapshots: %w", err)
	}
	return nil
}

// Mark implements vault.Upkeep, in one read transaction. Where the note of
// the usage is wrong, or one of the vault's two records, it is written anew.
func (s *Store) Mark(id vault.VaultID) (vault.Marked, error) {
	m := vault.Marked{Vault: id}
	wrong := false
	err := s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		wrong = in.usage() != in.count() || !twice(in.bucket)
		return in.markAll(&m)
	})
	if err == nil && wrong {
		err = s.mend(id)
	}
	if err != nil {
		return vault.Marked{}, fmt.Errorf("cannot tell what vault %s needs no more: %w", id, err)
	}
	return m, nil
}

// mend writes the usage and both records of a vault anew.
func (s *Store) mend(id vault.VaultID) error {
	return s.update(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		if err := in.setUsage(in.count()); err != nil {
			return err
		}
		r, err := record(in.bucket)
		if err != nil {
			return nil // both are damaged: there is nothing to mend it with
		}
		value, err := r.MarshalBinary()
		if err != nil {
			return err
		}
		return putRecord(in.bucket, value)
	})
}

func (r room) markAll(m *vault.Marked) error {
	if head, _ := r.head(); head != nil {
		m.Head = head.Snapshot
	}
	named, err := r.named()
	if err != nil {
		return err
	}
	staged := make(map[vault.BlobID]bool)
	err = r.staged.ForEach(func(k, _ []byte) error {
		if len(k) == idBytes {
			staged[vault.BlobID(k)] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	c := r.blobs.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if len(k) != idBytes {
			continue
		}
		id := vault.BlobID(k)
		if !named[id] && !staged[id] {
			m.Garbage = append(m.Garbage, id)
		}
		delete(named, id)
	}
	for id := range named {
		m.Lost = append(m.Lost, id)
	}
	slices.SortFunc(m.Lost, func(a, b vault.BlobID) int { return bytes.Compare(a[:], b[:]) })
	return nil
}

// Sweep implements vault.Upkeep, in one transaction.
func (s *Store) Sweep(m vault.Marked) error {
	if len(m.Garbage) == 0 {
		return nil
	}
	err := s.update(func(tx *bbolt.Tx) error {
		in, err := enter(tx, m.Vault)
		if err != nil {
			return err
		}
		return in.sweep(m)
	})
	if err != nil {
		return fmt.Errorf("cannot sweep vault %s: %w", m.Vault, err)
	}
	return nil
}

func (r room) sweep(m vault.Marked) error {
	head, damaged := r.head()
	if len(damaged) > 0 || head == nil && !m.Head.IsZero() || head != nil && head.Snapshot != m.Head {
		return fmt.Errorf("%w: it was marked for %s", vault.ErrStale, m.Head)
	}
	used := r.usage()
	for _, id := range m.Garbage {
		if k, _ := r.staged.Cursor().Seek(id[:]); bytes.Equal(k, id[:]) || r.blobs.Get(id[:]) == nil {
			continue
		}
		if err := r.discard(id[:], &used); err != nil {
			return err
		}
	}
	return r.setUsage(used)
}

// Inspect implements vault.Upkeep.
func (s *Store) Inspect(id vault.VaultID, after vault.BlobID, limit int64) (seen vault.Inspection, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err == nil {
			seen = in.inspect(after, limit)
		}
		return err
	})
	if err != nil {
		return seen, fmt.Errorf("cannot inspect vault %s: %w", id, err)
	}
	s.ease(int(seen.Bytes)) // #nosec G115 -- of one file
	return seen, nil
}

func (r room) inspect(after vault.BlobID, limit int64) vault.Inspection {
	seen := vault.Inspection{Last: after}
	c := r.blobs.Cursor()
	k, v := c.Seek(after[:])
	if bytes.Equal(k, after[:]) {
		k, v = c.Next()
	}
	for ; k != nil && seen.Bytes < limit; k, v = c.Next() {
		seen.Bytes += int64(len(v))
		if len(k) != idBytes {
			continue
		}
		seen.Last = vault.BlobID(k)
		// A block that the medium cannot read is a fault of this blob alone.
		if err := guard(func() error { _, err := unsum(v); return err }); err != nil {
			seen.Bad = append(seen.Bad, seen.Last)
		}
	}
	seen.End = k == nil
	return seen
}

// SetDamaged implements vault.Upkeep.
func (s *Store) SetDamaged(id vault.VaultID, blobs []vault.BlobID) error {
	if len(blobs) == 0 {
		return nil
	}
	err := s.update(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		if in.damaged, err = in.bucket.CreateBucketIfNotExists([]byte(bucketDamaged)); err != nil {
			return err
		}
		for _, b := range blobs {
			if err := in.damaged.Put(b[:], nil); err != nil {
				return err
			}
		}
		return in.tidyDamaged()
	})
	if err != nil {
		return fmt.Errorf("cannot note damaged blobs: %w", err)
	}
	return nil
}

// tidyDamaged forgets the damage of blobs that are neither stored nor named by
// a snapshot, as far as that can be told.
func (r room) tidyDamaged() error {
	if r.damaged == nil {
		return nil
	}
	var gone [][]byte
	named, err := r.named()
	if err != nil {
		return nil
	}
	err = r.damaged.ForEach(func(k, _ []byte) error {
		if r.blobs.Get(k) == nil && (len(k) != idBytes || !named[vault.BlobID(k)]) {
			gone = append(gone, bytes.Clone(k))
		}
		return nil
	})
	for _, k := range gone {
		err = errors.Join(err, r.damaged.Delete(k))
	}
	return err
}

// Damaged implements vault.Upkeep.
func (s *Store) Damaged(id vault.VaultID) (all []vault.BlobID, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil || in.damaged == nil {
			return err
		}
		return in.damaged.ForEach(func(k, _ []byte) error {
			if len(k) == idBytes {
				all = append(all, vault.BlobID(k))
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list damaged blobs: %w", err)
	}
	return all, nil
}
