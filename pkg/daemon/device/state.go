package device

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/vault"
)

// state is what the device remembers across restarts: its reference, what the
// owner said, and what was being done. It lies outside the user-data space, so
// that a wiped space leaves the daemon able to notice. Every change is one
// transaction.
type state struct {
	db *bolt.DB
}

// The keys.
const (
	keyReference = "reference" // the last committed data set, as vault encodes it
	keySeen      = "seen"      // how its files were observed when last intact
	keyPrepared  = "prepared"  // a data set that may or may not be committed
	keyTurn      = "turn"      // what changes in the book when that is committed
	keyPending   = "pending"   // an unfinished backup
	keyHighest   = "highest"   // the highest generation that was given to a snapshot, at whichever reader
	keyLost      = "lost"      // items that are damaged here and that no snapshot has
	keyLast      = "last"      // how files were last found that are not as they were when intact
	keyForgotten = "forgotten" // names whose loss or change the owner means
	keyErased    = "erased"    // items that were found erased and are not back yet
	keyMoved     = "moved"     // where items went that are not saved there yet
	keyRunning   = "running"   // in which start of the system the daemon runs; none after an orderly end
	keyCrashed   = "crashed"   // when the system started after it had last gone down without one
	keyMounts    = "mounts"    // where the user data lay
	keyScrubAt   = "scrub-at"  // the last item that an unfinished scrub has read
	keyVerified  = "verified"  // the last restore drill
	keyScrubbed  = "scrubbed"  // when every byte was last read, seconds since the epoch
)

func stateBucket() []byte { return []byte("state") }

// bucketOf is where a key is kept. What may be many megabytes has a bucket of its own:
// bbolt writes anew all that shares a page with what is stored, however long it is,
// and makes a copy of it in memory.
func bucketOf(key string) []byte {
	if slices.Contains(largeKeys(), key) {
		return []byte(key)
	}
	return stateBucket()
}

func largeKeys() []string { return []string{keyReference, keySeen, keyPrepared, keyLast} }

// pendingBackup makes a repeated attempt build the same blobs as the one that
// was cut short, so that what the reader has is not sent again.
type pendingBackup struct {
	Snapshot vault.SnapshotID `cbor:"1,keyasint"`
	Full     bool             `cbor:"2,keyasint"`
}

// openState opens the state, or makes it. One that is damaged is set aside: what
// is in it the reader has, too, and a device without a memory judges by that.
func openState(dir string, now time.Time, log *slog.Logger) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the state directory: %w", err)
	}
	file := filepath.Join(dir, "state.db")
	db, err := openDB(file)
	if errors.Is(err, errStateDamaged) {
		aside := fmt.Sprintf("%s.damaged-%d", file, now.Unix())
		log.Error("the device's memory is damaged; going by the reader's", "kept", aside, "error", err)
		if err := os.Rename(file, aside); err != nil {
			return nil, fmt.Errorf("cannot set the damaged state aside: %w", err)
		}
		db, err = openDB(file)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("cannot open %s: another reprovisiond is using it", file)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", file, err)
	}
	if err = db.Update(setUp); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set up %s: %w", file, err), db.Close())
	}
	return &state{db: db}, nil
}

// setUp makes the buckets, and puts what an earlier version kept in one into its own.
func setUp(tx *bolt.Tx) error {
	all, err := tx.CreateBucketIfNotExists(stateBucket())
	if err != nil {
		return err
	}
	for _, key := range largeKeys() {
		own, err := tx.CreateBucketIfNotExists(bucketOf(key))
		if err != nil {
			return err
		}
		if value := bytes.Clone(all.Get([]byte(key))); value != nil {
			if err := errors.Join(own.Put([]byte(key), value), all.Delete([]byte(key))); err != nil {
				return err
			}
		}
	}
	return nil
}

// openTime is how long to wait for another process to let go of the database.
const openTime = 2 * time.Second

var errStateDamaged = errors.New("the state is damaged")

// openDB opens the database and looks through all of its pages. bbolt checks few
// of them; of a damaged one it panics, or reads beyond the end of the file.
func openDB(file string) (db *bolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil { // a page that points nowhere
			err = fmt.Errorf("%w: a page cannot be read: %v", errStateDamaged, r)
		}
	}()
	db, err = bolt.Open(file, 0o600, &bolt.Options{Timeout: openTime})
	if errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) || errors.Is(err, berrors.ErrVersionMismatch) {
		return nil, fmt.Errorf("%w: %w", errStateDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkDB(db); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errStateDamaged, err), db.Close())
	}
	return db, nil
}

func checkDB(db *bolt.DB) error {
	sum := crc32.NewIEEE() // what is not touched is not read
	return db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
			return b.ForEach(func(_, v []byte) error {
				_, err := sum.Write(v)
				return err
			})
		})
	})
}

// reopen maps the database anew, after most of it was read: the pages of a mapping
// that were touched count as the process's memory, and few are needed again.
func (s *state) reopen() error {
	file := s.db.Path()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("cannot close %s: %w", file, err)
	}
	db, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: openTime})
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", file, err)
	}
	s.db = db
	return nil
}

func (s *state) close() error { return s.db.Close() }

// get copies a value; nil when there is none.
func (s *state) get(key string) ([]byte, error) {
	var out []byte
	err := s.db.View(func(tx *bolt.Tx) error {
		out = append(out, tx.Bucket(bucketOf(key)).Get([]byte(key))...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the state: %w", err)
	}
	return out, nil
}

// put stores several values in one transaction; a nil value deletes its key.
func (s *state) put(values map[string][]byte) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		for key, value := range values {
			var err error
			b := tx.Bucket(bucketOf(key))
			if value == nil {
				err = b.Delete([]byte(key))
			} else {
				err = b.Put([]byte(key), value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot write the state: %w", err)
	}
	return nil
}

// load decodes a value into v; false when there is none.
func (s *state) load(key string, v any) (bool, error) {
	raw, err := s.get(key)
	if err != nil || raw == nil {
		return false, err
	}
	if err := cbor.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("cannot read %q of the state: %w", key, err)
	}
	return true, nil
}

// store encodes v under the key.
func (s *state) store(key string, v any) error {
	raw, err := cbor.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode %q of the state: %w", key, err)
	}
	return s.put(map[string][]byte{key: raw})
}

func (s *state) drop(keys ...string) error {
	values := make(map[string][]byte, len(keys))
	for _, k := range keys {
		values[k] = nil
	}
	return s.put(values)
}

// dataSet reads a data set kept under the key; nil when there is none.
func (s *state) dataSet(key string) (*vault.DataSet, error) {
	raw, err := s.get(key)
	if err != nil || raw == nil {
		return nil, err
	}
	return vault.DecodeDataSet(raw)
}

// observed reads how files were observed, as it is kept under the key.
func (s *state) observed(key string) (scan.Cache, error) {
	var c scan.Cache
	err := s.db.View(func(tx *bolt.Tx) error {
		if raw := tx.Bucket(bucketOf(key)).Get([]byte(key)); raw != nil {
			return c.Unmarshal(raw) // which keeps nothing of raw
		}
		return nil
	})
	return c, err
}
