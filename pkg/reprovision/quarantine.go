package reprovision

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// ErrQuarantineFull means that what lies in an item's place cannot be kept, so
// the item is left as it is.
var ErrQuarantineFull = errors.New("the quarantine is full")

// Quarantine keeps what restores replaced, a directory a run, below a directory
// of the daemon's state. Old runs make room for new ones.
type Quarantine struct {
	Dir  string
	Max  int64         // bytes of all runs together
	Keep time.Duration // how long a run is kept; 0 for ever
	Now  func() time.Time
}

// stampLayout names a run's directory so that names sort by time.
const stampLayout = "20060102T150405.000000000Z"

// Run is the quarantine of one reprovision. Its directory is made when the
// first item needs it. It is safe for concurrent use.
type Run struct {
	q    Quarantine
	name string

	mu    sync.Mutex
	taken int64
	room  *room // nil until the first item needs some
}

// Begin opens a run, or goes on with the one of that name.
func (q Quarantine) Begin(name string) *Run {
	if name == "" {
		name = q.Now().UTC().Format(stampLayout)
	}
	return &Run{q: q, name: name}
}

// Name identifies the run for Begin.
func (r *Run) Name() string { return r.name }

// Dir is where the run's items lie.
func (r *Run) Dir() string { return filepath.Join(r.q.Dir, r.name) }

// Taken is the number of items kept so far.
func (r *Run) Taken() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// Take copies the file or symlink at rel, with mode and modification time.
// Nothing needs to be kept of an empty file. What cannot be read is kept as far
// as it can be. What the run keeps already under that name stays beside it:
// the further ones are called name.~1~, name.~2~ and so on.
func (r *Run) Take(root *os.Root, rel string, n userdata.Name, info fs.FileInfo) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if info.Mode().IsRegular() && info.Size() == 0 {
		return nil
	}
	if err := r.makeRoom(info.Size()); err != nil {
		return err
	}
	to := filepath.Join(r.Dir(), filepath.FromSlash(string(n)))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("cannot make the quarantine: %w", err)
	}
	if err := copyAside(root, rel, to, info); err != nil {
		return fmt.Errorf("cannot keep what is there in the quarantine: %w", err)
	}
	r.room.own += info.Size()
	r.taken++
	return nil
}

func copyAside(root *os.Root, rel, to string, info fs.FileInfo) error {
	to, err := vacant(to)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(rel)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	if !info.Mode().IsRegular() {
		return nil // a socket or pipe holds nothing
	}
	return copyFile(root, rel, to, info)
}

// vacant finds a path that nothing has, beginning with to itself.
func vacant(to string) (string, error) {
	for i, at := 1, to; ; i++ {
		_, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return at, nil
		}
		if err != nil {
			return "", err
		}
		at = fmt.Sprintf("%s.~%d~", to, i)
	}
}

func copyFile(root *os.Root, rel, to string, info fs.FileInfo) error {
	from, err := root.Open(rel)
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := salvage(out, from, info.Size()); err != nil {
		return errors.Join(err, out.Close(), os.Remove(to))
	}
	if err := errors.Join(out.Chmod(info.Mode().Perm()), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// salvageStep is how much is given up at a read error, in bytes.
const salvageStep = 4096

// salvage copies size bytes and leaves holes where the medium gives none.
func salvage(out *os.File, from *os.File, size int64) error {
	buf := make([]byte, 64*salvageStep)
	for at := int64(0); at < size; {
		n, rerr := from.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if _, err := out.WriteAt(buf[:n], at); err != nil {
			return err
		}
		at += int64(n)
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			at = (at/salvageStep + 1) * salvageStep
		}
	}
	return out.Truncate(size)
}
