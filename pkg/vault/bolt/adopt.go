package bolt

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Adopt implements vault.Store.
func (s *Store) Adopt(p vault.Portable) error {
	err := s.update(func(tx *bbolt.Tx) error {
		in, err := s.lodge(tx, p.Record)
		if err != nil {
			return err
		}
		head, damaged := in.head()
		next, err := p.Adopted(head)
		if err != nil {
			return err
		}
		if err := s.put(tx, in.id, in.unlike(p.Blobs)); err != nil {
			return err
		}
		if err := in.claim(next.Blobs); err != nil {
			return err
		}
		value, err := next.MarshalBinary()
		if err != nil {
			return err
		}
		err = errors.Join(in.forget(damaged), in.snapshots.Put(seqKey(next.Seq), sum(value)))
		if err != nil || len(damaged) == 0 {
			return err
		}
		return in.restage()
	})
	if err != nil {
		return fmt.Errorf("cannot take up snapshot %s: %w", p.Snapshot.Snapshot, err)
	}
	return nil
}

// lodge finds the vault of a record, or makes it. A vault that is there keeps the
// record that it has: anybody can write its id on a card.
func (s *Store) lodge(tx *bbolt.Tx, r vault.Record) (room, error) {
	in, err := enter(tx, r.ID)
	there := err == nil
	if err != nil && !errors.Is(err, vault.ErrNoVault) {
		return in, err
	}
	if there {
		_, err := record(in.bucket)
		return in, err
	}
	value, err := r.MarshalBinary()
	if err != nil {
		return in, err
	}
	if err := s.create(tx, r.ID, value); err != nil {
		return in, err
	}
	return enter(tx, r.ID)
}

// unlike leaves out the blobs that the vault has, whole, below another outer layer:
// the key was rotated at one of two readers. What lies here stays; the newest key's
// slots open either.
func (r room) unlike(blobs []vault.StoredBlob) []vault.StoredBlob {
	var out []vault.StoredBlob
	for _, b := range blobs {
		old, err := unsum(r.blobs.Get(b.ID[:]))
		if err != nil || !vault.Rewrapped(old, b.Sealed) {
			out = append(out, b)
		}
	}
	return out
}
