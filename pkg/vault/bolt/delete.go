package bolt

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Delete implements vault.Store. As in Rotate, the store is written anew without the
// vault, and the old file overwritten: what was deleted would else lie in free pages
// until they are used again. Where there is no room for that, the vault is deleted all
// the same, and the error wraps vault.ErrTraces.
func (s *Store) Delete(id vault.VaultID) error {
	err := s.view(func(tx *bbolt.Tx) error {
		_, err := enter(tx, id)
		if errors.Is(err, vault.ErrNoVault) {
			return err
		}
		return nil // damage is no reason to keep it
	})
	if err == nil {
		err = s.leaveOut(id)
	}
	if err != nil && !errors.Is(err, vault.ErrTraces) && !errors.Is(err, vault.ErrNoVault) {
		if failed := s.drop(id); failed != nil {
			err = failed
		} else {
			err = fmt.Errorf("%w: %w", vault.ErrTraces, err)
		}
	}
	if err != nil { // of ErrTraces, too: who deletes is to know
		return fmt.Errorf("cannot delete vault %s: %w", id, err)
	}
	return nil
}

// leaveOut puts a copy without the vault in the store's place.
func (s *Store) leaveOut(id vault.VaultID) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.writes.Add(1) // a Compact that is under way gives up
	s.copying.Lock()
	defer s.copying.Unlock()
	return guard(func() error {
		return s.renew(&copier{ctx: context.Background(), without: &id}, func() error { return nil })
	})
}

// drop deletes the vault and leaves its bytes in free pages.
func (s *Store) drop(id vault.VaultID) error {
	return s.update(func(tx *bbolt.Tx) error {
		all, err := vaults(tx)
		if err != nil {
			return err
		}
		if all.Bucket(id[:]) == nil {
			return vault.ErrNoVault
		}
		return all.DeleteBucket(id[:])
	})
}
