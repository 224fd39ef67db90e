package bolt

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Commit implements vault.Store, in one transaction. It builds on the newest
// snapshot whose record reads, the one that Snapshots lists first: damaged
// records above that are removed, for nothing could ever build on them.
func (s *Store) Commit(id vault.VaultID, c vault.Commit, now time.Time) error {
	err := s.update(func(tx *bbolt.Tx) error {
		if c.Vault != id {
			return fmt.Errorf("%w: it is for vault %s", vault.ErrCommit, c.Vault)
		}
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		return in.commit(c, now)
	})
	if err != nil {
		return fmt.Errorf("cannot commit snapshot %s: %w", c.Snapshot, err)
	}
	return nil
}

func (r room) commit(c vault.Commit, now time.Time) error {
	head, damaged := r.head()
	if head != nil && head.Snapshot == c.Snapshot {
		if c.Repeats(*head) {
			return nil
		}
		return vault.ErrConflict
	}
	next, err := c.Follow(head)
	if err != nil {
		return err
	}
	if err := r.claim(c.Add); err != nil {
		return err
	}
	next.Committed = now
	seen := visits{tx: r.blobs.Tx()}
	for _, id := range next.Blobs {
		next.Bytes += blobSize(r.blobs.Get(id[:]))
		seen.saw(0)
	}
	seen.end()
	value, err := next.MarshalBinary()
	if err != nil {
		return err
	}
	if err := r.forget(damaged); err != nil {
		return err
	}
	if err := r.snapshots.Put(seqKey(next.Seq), sum(value)); err != nil || len(damaged) == 0 {
		return err
	}
	return r.restage()
}

// forget removes snapshot records.
func (r room) forget(keys [][]byte) error {
	for _, k := range keys {
		if err := r.snapshots.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// restage puts the blobs that no snapshot names on the stage: those of records
// that were forgotten. While another record is damaged it changes nothing,
// since that one may name any of them.
func (r room) restage() error {
	named, err := r.named()
	if err != nil {
		return nil
	}
	return r.blobs.ForEach(func(k, _ []byte) error {
		if len(k) == len(vault.BlobID{}) && named[vault.BlobID(k)] {
			return nil
		}
		return r.staged.Put(k, nil)
	})
}

// named is what the snapshots name. It fails while the record of one is damaged.
func (r room) named() (map[vault.BlobID]bool, error) {
	named := make(map[vault.BlobID]bool)
	c := r.snapshots.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		s, err := snapshot(k, v)
		if err != nil {
			return nil, err
		}
		for _, id := range s.Blobs {
			named[id] = true
		}
	}
	return named, nil
}

// claim verifies the blobs that a commit adds and takes them off the stage.
func (r room) claim(ids []vault.BlobID) error {
	seen := visits{tx: r.blobs.Tx()}
	for _, id := range ids {
		value, err := r.blob(id)
		if err != nil {
			return err
		}
		seen.saw(len(value))
		if err := r.staged.Delete(id[:]); err != nil {
			return err
		}
	}
	return nil
}

// Snapshots implements vault.Store.
func (s *Store) Snapshots(id vault.VaultID) ([]vault.SnapshotRecord, error) {
	var records []vault.SnapshotRecord
	damaged := &vault.DamagedSnapshots{}
	err := s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		c := in.snapshots.Cursor()
		for k, v := c.Last(); k != nil; k, v = c.Prev() {
			r, err := snapshot(k, v)
			if err != nil {
				damaged.Err = errors.Join(damaged.Err, err)
				damaged.Seqs = append(damaged.Seqs, seqOf(k))
				continue
			}
			records = append(records, r)
		}
		return nil
	})
	if err == nil && damaged.Err != nil {
		err = damaged
	}
	if err != nil {
		return records, fmt.Errorf("cannot list the snapshots: %w", err)
	}
	return records, nil
}
