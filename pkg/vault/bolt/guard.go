package bolt

import (
	"errors"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/reprovision/reprovision/pkg/vault"
)

// guard turns the panics of bbolt on a damaged file, and the faults of memory
// that maps an unreadable part of it, into vault.ErrDamaged. It catches bugs of
// this package too: the text of the panic is kept.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", vault.ErrDamaged, p)
		}
	}()
	return f()
}

// view runs f in a read transaction.
func (s *Store) view(f func(tx *bbolt.Tx) error) error {
	s.swap.RLock()
	defer s.swap.RUnlock()
	return guard(func() error { return s.db.View(f) })
}

// update runs f in a write transaction. It is whole and on the disk, or has
// not happened.
func (s *Store) update(f func(tx *bbolt.Tx) error) error {
	s.writing.RLock()
	defer s.writing.RUnlock()
	s.writes.Add(1)
	s.swap.RLock()
	defer s.swap.RUnlock()
	err := guard(func() error { return s.db.Update(f) })
	if errors.Is(err, berrors.ErrDatabaseReadOnly) {
		return fmt.Errorf("the store is read-only: %w", err)
	}
	return err
}
