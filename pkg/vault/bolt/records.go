package bolt

import (
	"bytes"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Create implements vault.Store.
func (s *Store) Create(r vault.Record) error {
	value, err := r.MarshalBinary()
	if err == nil {
		err = s.update(func(tx *bbolt.Tx) error { return s.create(tx, r.ID, value) })
	}
	if err != nil {
		return fmt.Errorf("cannot create vault %s: %w", r.ID, err)
	}
	return nil
}

func (s *Store) create(tx *bbolt.Tx, id vault.VaultID, value []byte) error {
	all, err := vaults(tx)
	if err != nil {
		return err
	}
	if all.Bucket(id[:]) != nil {
		return vault.ErrExists
	}
	count := 1
	if err := all.ForEachBucket(func([]byte) error { count++; return nil }); err != nil {
		return err
	}
	if err := s.limits.CheckVaults(count); err != nil {
		return err
	}
	b, err := all.CreateBucket(id[:])
	if err != nil {
		return err
	}
	for _, name := range []string{bucketSnapshots, bucketBlobs, bucketStaged} {
		if _, err := b.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	if err := (room{id: id, bucket: b}).setUsage(vault.Usage{}); err != nil {
		return err
	}
	return putRecord(b, value)
}

// putRecord writes a record twice.
func putRecord(b *bbolt.Bucket, value []byte) error {
	return errors.Join(b.Put([]byte(keyRecord), sum(value)), b.Put([]byte(keyRecordCopy), sum(value)))
}

// Vaults implements vault.Store. Where records are damaged it returns the
// others, and an error that wraps vault.ErrDamaged.
func (s *Store) Vaults() ([]vault.Record, error) {
	var records []vault.Record
	var damaged error
	err := s.view(func(tx *bbolt.Tx) error {
		all, err := vaults(tx)
		if err != nil {
			return err
		}
		return all.ForEachBucket(func(k []byte) error {
			r, err := record(all.Bucket(k))
			if err != nil {
				damaged = errors.Join(damaged, fmt.Errorf("vault %x: %w", k, err))
				return nil
			}
			records = append(records, r)
			return nil
		})
	})
	if err = errors.Join(err, damaged); err != nil {
		return records, fmt.Errorf("cannot list the vaults: %w", err)
	}
	return records, nil
}

// record reads the record of a vault, from its copy where it is damaged.
func record(b *bbolt.Bucket) (r vault.Record, err error) {
	for _, key := range []string{keyRecord, keyRecordCopy} {
		var value []byte
		if value, err = unsum(b.Get([]byte(key))); err == nil {
			err = r.UnmarshalBinary(value)
		}
		if err == nil {
			return r, nil
		}
	}
	return r, fmt.Errorf("record: %w: %w", vault.ErrDamaged, err)
}

// twice tells whether both copies of a readable record are whole.
func twice(b *bbolt.Bucket) bool {
	one, err := unsum(b.Get([]byte(keyRecord)))
	two, err2 := unsum(b.Get([]byte(keyRecordCopy)))
	return err == nil && err2 == nil && bytes.Equal(one, two)
}

// Vault implements vault.Store.
func (s *Store) Vault(id vault.VaultID) (r vault.Record, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		r, err = record(in.bucket)
		return err
	})
	if err != nil {
		return vault.Record{}, fmt.Errorf("cannot read vault %s: %w", id, err)
	}
	return r, nil
}

// Update implements vault.Store. A damaged record is replaced; its time of
// creation is then that of r.
func (s *Store) Update(r vault.Record) error {
	err := s.update(func(tx *bbolt.Tx) error {
		in, err := enter(tx, r.ID)
		if err != nil {
			return err
		}
		if old, err := record(in.bucket); err == nil {
			r.Created = old.Created
		}
		value, err := r.MarshalBinary()
		if err != nil {
			return err
		}
		return putRecord(in.bucket, value)
	})
	if err != nil {
		return fmt.Errorf("cannot update vault %s: %w", r.ID, err)
	}
	return nil
}
