package bolt

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/reprovision/reprovision/pkg/vault"
)

var (
	// ErrLocked says that another process has the file open.
	ErrLocked = errors.New("another process uses the store")
	// ErrFormat says that the file is no store, or one of another format.
	ErrFormat = errors.New("not a store of a known format")
)

const (
	dirMode        = 0o700
	fileMode       = 0o600
	defaultTimeout = 5 * time.Second
)

// Options are the settings of a store; the zero value is good.
type Options struct {
	// Timeout is how long Open waits for another process to let go of the file;
	// 5 s when zero.
	Timeout time.Duration
	// Limits bound what the store takes in.
	Limits vault.Limits
	// Log hears of what goes wrong without harm; nil for nobody.
	Log *slog.Logger
}

// Store implements vault.Store.
type Store struct {
	path        string
	limits      vault.Limits
	logger      *slog.Logger
	compactFree int64
	writes      atomic.Uint64 // that were begun
	touched     atomic.Int64  // bytes of blobs, since ease last let go of them

	writing  sync.RWMutex         // held to read by each change, to write by a rotation
	copying  sync.Mutex           // held while the file is copied, to be replaced by the copy
	wipe     func(*os.File) error // overwrites what a rotation has replaced
	swap     sync.RWMutex         // held to write while db is replaced
	db       *bbolt.DB
	pageSize int64 // of db
}

var (
	_ vault.Store   = (*Store)(nil)
	_ vault.Rotator = (*Store)(nil)
)

// Open opens the store at path, creating it and its directory where they are
// missing, for this user alone. ErrLocked, ErrFormat and vault.ErrDamaged are
// wrapped where they apply.
func Open(path string, opts Options) (*Store, error) {
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{path: path, limits: opts.Limits.OrDefault(), logger: opts.Log, compactFree: compactFree, wipe: overwrite}
	if err := s.open(path, opts.Timeout); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, fmt.Errorf("cannot open the store %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) open(path string, timeout time.Duration) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	_, err := os.Lstat(path)
	isNew := errors.Is(err, os.ErrNotExist)
	if err := guard(func() (err error) { s.db, err = openNamed(path, timeout); return err }); err != nil {
		return err
	}
	if err := os.Chmod(path, fileMode); err != nil {
		return err
	}
	for _, suffix := range []string{compactSuffix, freshSuffix} { // of a Compact or a Rotate that was killed
		if err := removeCopy(path + suffix); err != nil {
			return err
		}
	}
	if err := s.checkSize(path); err != nil {
		return err
	}
	s.pageSize = int64(s.db.Info().PageSize)
	if err := s.prepare(isNew); err != nil {
		return err
	}
	return syncDir(dir)
}

// opens bounds how often openNamed follows a name to another file.
const opens = 5

// openNamed opens the file and sees to it that the file which is locked is the one
// that bears the name: a process that held it may have put another in its place
// while this one waited.
func openNamed(path string, timeout time.Duration) (*bbolt.DB, error) {
	for range opens {
		var file *os.File
		db, err := openWith(path, timeout, false, func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			f, err = os.OpenFile(name, flag, mode) // #nosec G304 -- the caller's own path
			file = f
			return f, err
		})
		if err != nil {
			return nil, err
		}
		opened, err := file.Stat()
		if err != nil {
			return db, err
		}
		if named, err := os.Stat(path); err == nil && os.SameFile(opened, named) {
			return db, nil
		}
		if err := db.Close(); err != nil {
			return nil, err
		}
	}
	return nil, ErrLocked
}

// openFile opens a file that nobody else knows of; fast leaves out the syncs.
func openFile(path string, timeout time.Duration, fast bool) (*bbolt.DB, error) {
	return openWith(path, timeout, fast, nil)
}

type opener func(name string, flag int, mode os.FileMode) (*os.File, error)

func openWith(path string, timeout time.Duration, fast bool, open opener) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{
		Timeout: timeout, FreelistType: bbolt.FreelistMapType, NoSync: fast, OpenFile: open,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	case errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrVersionMismatch) || errors.Is(err, berrors.ErrChecksum):
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return db, err
}

// checkSize refuses a file that was cut short: reading its missing pages would
// end in a fault.
func (s *Store) checkSize(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return s.view(func(tx *bbolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: %d bytes of %d", vault.ErrDamaged, info.Size(), tx.Size())
		}
		return nil
	})
}

// prepare writes the format into a new file and checks it in an old one.
func (s *Store) prepare(isNew bool) error {
	return s.update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte(bucketMeta))
		switch {
		case meta != nil:
			if v := meta.Get([]byte(keyFormat)); len(v) != 1 || v[0] != storeFormat {
				return fmt.Errorf("%w: format %x", ErrFormat, v)
			}
			return nil
		case !isNew && !isEmpty(tx):
			return fmt.Errorf("%w: it holds something else", ErrFormat)
		}
		meta, err := tx.CreateBucket([]byte(bucketMeta))
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists([]byte(bucketVaults)); err != nil {
			return err
		}
		return meta.Put([]byte(keyFormat), []byte{storeFormat})
	})
}

func isEmpty(tx *bbolt.Tx) bool {
	k, _ := tx.Cursor().First()
	return k == nil
}

// syncDir makes a new file's name last through a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) log(text string, err error) { s.logger.Warn(text, "error", err) }

// Close implements vault.Store.
func (s *Store) Close() error {
	s.swap.Lock()
	defer s.swap.Unlock()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("cannot close the store: %w", err)
	}
	return nil
}
