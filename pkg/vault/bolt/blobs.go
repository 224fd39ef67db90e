package bolt

import (
	"bytes"
	"fmt"
	"path/filepath"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Missing implements vault.Store.
func (s *Store) Missing(id vault.VaultID, blobs []vault.BlobID) (missing []vault.BlobID, err error) {
	if len(blobs) > vault.MaxAskBlobs {
		return nil, fmt.Errorf("cannot look for %d blobs: %w", len(blobs), vault.ErrLimit)
	}
	err = s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		seen := visits{tx: tx}
		for _, b := range blobs {
			if in.blobs.Get(b[:]) == nil || in.isDamaged(b[:]) {
				missing = append(missing, b)
			}
			seen.saw(0)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot look for blobs: %w", err)
	}
	return missing, nil
}

// Put implements vault.Store. All blobs are written in one transaction, so
// that they cost one sync: group small ones.
func (s *Store) Put(id vault.VaultID, blobs []vault.StoredBlob) error {
	err := vault.CheckPut(blobs)
	if err == nil {
		err = s.spareRoom(blobs)
	}
	if err == nil {
		err = s.update(func(tx *bbolt.Tx) error { return s.put(tx, id, blobs) })
	}
	if err != nil {
		return fmt.Errorf("cannot store blobs: %w", err)
	}
	for _, b := range blobs {
		s.ease(len(b.Sealed) + visitBytes)
	}
	return nil
}

// spared is what blobs leave free on the disk: what lies beside the store, such as the
// count of wrong passcodes, has to be written when the disk is as good as full, too.
const spared = 256 << 10

// spareRoom refuses blobs that would make the file grow into what is spared.
func (s *Store) spareRoom(blobs []vault.StoredBlob) error {
	var need int64
	for _, b := range blobs {
		need += int64(len(b.Sealed)) + s.pageSize
	}
	if _, free := s.space(); free < need && !roomFor(s.path, need+spared) {
		return fmt.Errorf("cannot grow %s: %w", filepath.Base(s.path), unix.ENOSPC)
	}
	return nil
}

func (s *Store) put(tx *bbolt.Tx, id vault.VaultID, blobs []vault.StoredBlob) error {
	in, err := enter(tx, id)
	if err != nil {
		return err
	}
	used := in.usage()
	for _, b := range blobs {
		if err := in.putBlob(b, &used); err != nil {
			return err
		}
	}
	if err := s.limits.CheckUsage(int(used.Blobs), used.Bytes); err != nil {
		return err
	}
	return in.setUsage(used)
}

// putBlob stages a new blob, or heals a damaged or lost one, which stays named by
// whatever names it.
func (r room) putBlob(b vault.StoredBlob, used *vault.Usage) error {
	value, known := sum(b.Sealed), r.isDamaged(b.ID[:])
	old := r.blobs.Get(b.ID[:])
	switch {
	case old == nil:
		used.Blobs++
		if known {
			break
		}
		if err := r.staged.Put(b.ID[:], nil); err != nil {
			return err
		}
	case bytes.Equal(old, value):
		return r.healed(b.ID)
	default:
		_, err := unsum(old)
		switch {
		case err == nil && known:
			return r.healed(b.ID) // it reads again
		case err == nil:
			return &vault.BlobError{ID: b.ID, Err: vault.ErrConflict}
		}
	}
	used.Bytes += int64(len(b.Sealed)) - blobSize(old)
	if err := r.blobs.Put(b.ID[:], value); err != nil {
		return err
	}
	return r.healed(b.ID)
}

// healed forgets that a blob was damaged.
func (r room) healed(id vault.BlobID) error {
	if r.damaged == nil {
		return nil
	}
	return r.damaged.Delete(id[:])
}

// Get implements vault.Store.
func (s *Store) Get(id vault.VaultID, blob vault.BlobID) (sealed []byte, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		value, err := in.blob(blob)
		sealed = bytes.Clone(value)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read a blob: %w", err)
	}
	s.ease(len(sealed) + visitBytes)
	return sealed, nil
}

// blob returns a blob in the database's memory, verified.
func (r room) blob(id vault.BlobID) ([]byte, error) {
	stored := r.blobs.Get(id[:])
	if stored == nil {
		return nil, &vault.BlobError{ID: id, Err: vault.ErrNoBlob}
	}
	value, err := unsum(stored)
	if err != nil {
		return nil, &vault.BlobError{ID: id, Err: err}
	}
	return value, nil
}

// Unstage implements vault.Store. Where nothing is staged it costs no sync.
func (s *Store) Unstage(id vault.VaultID) error {
	idle := false
	err := s.view(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err == nil {
			first, _ := in.staged.Cursor().First()
			idle = first == nil
		}
		return err
	})
	if err == nil && !idle {
		err = s.update(func(tx *bbolt.Tx) error {
			in, err := enter(tx, id)
			if err != nil {
				return err
			}
			return in.unstage()
		})
	}
	if err != nil {
		return fmt.Errorf("cannot remove staged blobs: %w", err)
	}
	return nil
}

func (r room) unstage() error {
	used := r.usage()
	var ids [][]byte
	if err := r.staged.ForEach(func(k, _ []byte) error { ids = append(ids, bytes.Clone(k)); return nil }); err != nil {
		return err
	}
	for _, k := range ids {
		if err := r.discard(k, &used); err != nil {
			return err
		}
	}
	return r.setUsage(used)
}
