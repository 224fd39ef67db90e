package bolt

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Heal implements vault.Healer.
func (s *Store) Heal(id vault.VaultID, copies []vault.StoredBlob) (healed []vault.BlobID, err error) {
	err = s.update(func(tx *bbolt.Tx) error {
		in, err := enter(tx, id)
		if err != nil {
			return err
		}
		for _, b := range copies {
			value, old := sum(b.Sealed), in.blobs.Get(b.ID[:])
			if _, err := unsum(old); err == nil || len(old) < sha256.Size || !bytes.HasPrefix(value, old[:sha256.Size]) {
				continue
			}
			if err := in.replace(b, value, old); err != nil {
				return err
			}
			healed = append(healed, b.ID)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot heal blobs: %w", err)
	}
	return healed, nil
}

// replace puts a whole blob in the place of a damaged one.
func (r room) replace(b vault.StoredBlob, value, old []byte) error {
	used := r.usage()
	used.Bytes += int64(len(b.Sealed)) - blobSize(old)
	if err := r.blobs.Put(b.ID[:], value); err != nil {
		return err
	}
	if err := r.healed(b.ID); err != nil {
		return err
	}
	return r.setUsage(used)
}
