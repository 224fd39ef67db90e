package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/vault"
)

const (
	// compactSuffix is that of the copy while it is made.
	compactSuffix = ".compact"
	// compactFree is how many free bytes are worth a copy; at least half of the
	// file has to be free, too. bbolt uses free space again by itself.
	compactFree = 32 << 20
	// compactMargin is what has to be left on the disk beside the copy.
	compactMargin = 16 << 20
	// copyBytes is what one transaction of the copy holds.
	copyBytes = 4 << 20
	// copyFill packs the pages of the copy; some room is left for the next ids.
	copyFill = 0.9
)

// errOvertaken says that the store was written to while it was copied.
var errOvertaken = errors.New("the store has changed meanwhile")

// Compact implements vault.Upkeep. bbolt never shrinks its file, so a compact copy
// takes its place. The copy is made of one read transaction, beside everything
// else; when it is done and nothing was written since, it is renamed over the
// file in one step, so that there is a whole store under the name at any time. Needed
// for a moment: the disk space of what is stored.
func (s *Store) Compact(ctx context.Context) (freed int64, err error) {
	size, free := s.space()
	if free < s.compactFree || free < size/2 || !roomFor(s.path, size-free+compactMargin) {
		return 0, nil
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	err = guard(func() error { return s.compact(ctx) })
	if errors.Is(err, errOvertaken) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot compact the store: %w", err)
	}
	after, _ := s.space()
	return size - after, nil
}

// space is the size of the file and how much of it is free.
func (s *Store) space() (size, free int64) {
	s.swap.RLock()
	defer s.swap.RUnlock()
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	})
	if err != nil {
		return 0, 0
	}
	stats := s.db.Stats() // pages that the last write freed are pending until the next
	return size, int64(stats.FreePageN+stats.PendingPageN) * s.pageSize
}

// roomFor tells whether the disk has that much room beside a file.
func roomFor(path string, bytes int64) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &fs); err != nil {
		return false
	}
	return int64(fs.Bavail)*int64(fs.Bsize) >= bytes
}

func (s *Store) compact(ctx context.Context) error {
	name := s.path + compactSuffix
	if err := removeCopy(name); err != nil {
		return err
	}
	to, err := openFile(name, defaultTimeout, true)
	if err != nil {
		return err
	}
	made, err := s.copyTo(&copier{ctx: ctx, to: to})
	if err == nil {
		err = s.replaceBy(to, name, made)
	}
	if err != nil {
		return errors.Join(err, to.Close(), removeCopy(name))
	}
	return nil
}

func removeCopy(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// copyTo copies everything and returns the number of the transaction whose state
// that is.
func (s *Store) copyTo(c *copier) (made int, err error) {
	s.swap.RLock()
	defer s.swap.RUnlock()
	err = s.db.View(func(tx *bbolt.Tx) error {
		made = tx.ID()
		c.writes, c.begun = &s.writes, s.writes.Load()
		err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return c.bucket([][]byte{name}, b) })
		return c.end(err)
	})
	if err == nil {
		err = c.to.Sync()
	}
	return made, err
}

// replaceBy puts the copy in the store's place, unless it is out of date. The old
// file is closed last: its lock keeps other processes out until the new one,
// which is locked too, has the name.
func (s *Store) replaceBy(to *bbolt.DB, name string, made int) error {
	s.swap.Lock()
	defer s.swap.Unlock()
	now := 0
	if err := s.db.View(func(tx *bbolt.Tx) error { now = tx.ID(); return nil }); err != nil {
		return err
	}
	if now != made {
		return errOvertaken
	}
	if err := os.Chmod(name, fileMode); err != nil {
		return err
	}
	if err := os.Rename(name, s.path); err != nil {
		return err
	}
	old := s.db
	to.NoSync = false
	s.db, s.pageSize = to, int64(to.Info().PageSize)
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		s.log("cannot make the compact store's name last", err)
	}
	if err := old.Close(); err != nil {
		s.log("cannot close the store that was compacted", err)
	}
	return nil
}

// copier copies buckets in transactions of a bounded size.
type copier struct {
	ctx    context.Context
	writes *atomic.Uint64 // of the original
	begun  uint64         // how many those were at the start
	to     *bbolt.DB
	tx     *bbolt.Tx // nil: none is open
	bytes  int
	// change gives a value as the copy is to have it; nil: as it is. Keys come in order.
	change func(path [][]byte, k, v []byte) ([]byte, error)
	// without is a vault that the copy is not to have; nil: it has all.
	without *vault.VaultID
}

func (c *copier) bucket(path [][]byte, from *bbolt.Bucket) error {
	if c.without != nil && len(path) == 2 && string(path[0]) == bucketVaults && bytes.Equal(path[1], c.without[:]) {
		return nil
	}
	if _, err := c.at(path, 0); err != nil {
		return err
	}
	return from.ForEach(func(k, v []byte) error {
		if v == nil {
			return c.bucket(append(path[:len(path):len(path)], k), from.Bucket(k))
		}
		if c.change != nil {
			changed, err := c.change(path, k, v)
			if err != nil {
				return err
			}
			v = changed
		}
		b, err := c.at(path, len(k)+len(v))
		if err != nil {
			return err
		}
		return b.Put(k, v)
	})
}

// at is the bucket of that path in the copy, with room for more bytes in its
// transaction.
func (c *copier) at(path [][]byte, more int) (b *bbolt.Bucket, err error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	if c.writes.Load() != c.begun {
		return nil, errOvertaken
	}
	if c.bytes += more; c.bytes > copyBytes && c.tx != nil {
		if err := c.end(nil); err != nil {
			return nil, err
		}
		c.bytes = more
	}
	if c.tx == nil {
		if c.tx, err = c.to.Begin(true); err != nil {
			return nil, err
		}
	}
	if b, err = c.tx.CreateBucketIfNotExists(path[0]); err != nil {
		return nil, err
	}
	for _, name := range path[1:] {
		if b, err = b.CreateBucketIfNotExists(name); err != nil {
			return nil, err
		}
	}
	b.FillPercent = copyFill
	return b, nil
}

// end commits what is open, or rolls it back after an error.
func (c *copier) end(failed error) error {
	if c.tx == nil {
		return failed
	}
	tx := c.tx
	c.tx = nil
	if failed != nil {
		return errors.Join(failed, tx.Rollback())
	}
	return tx.Commit()
}

var _ vault.Upkeep = (*Store)(nil)
