package reprovision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Result is what a restore did.
type Result struct {
	Planned     int
	Restored    int // written
	Verified    int // read back and found identical
	Quarantined int
	Failed      []detect.Finding // Reason says why; the verdict is the one before
	Hooks       []string         // that failed, and why
	Done        []userdata.Name  // verified
}

// Restorer carries out a plan (step 624): it fetches packs while it writes, in
// the order of the plan, runs the hooks of each class once its items are in
// place, and proves at the end that everything reads back as it was saved.
type Restorer struct {
	Space    userdata.Space
	DataSet  *vault.DataSet
	Open     Open
	Fetch    vault.Fetch // wraps ErrInterrupted where a later attempt may succeed
	CacheDir string      // for packs; outlives an interruption
	Run      *Run
	// Hook makes the system take up a class; nil for none.
	Hook func(ctx context.Context, c userdata.Class) error
	// Reread reads items anew from the medium, every byte.
	Reread func(ctx context.Context, names []userdata.Name) (manifest.Manifest, error)
	// Progress is told how many bytes of contents are in place. May be nil.
	Progress func(done, total int64)
	Log      *slog.Logger
}

// Restore carries out the plan. The error says that it was interrupted, and
// the result how far it got; items that cannot be restored are in the result
// and stop nothing else.
func (r *Restorer) Restore(ctx context.Context, plan Plan) (Result, error) {
	j := &job{Restorer: r, plan: plan, roots: make(map[string]*os.Root), closed: make(map[string]error),
		failed: make(map[userdata.Name]bool)}
	j.result.Planned = len(plan.Actions)
	j.total = plan.Bytes()
	defer j.closeRoots()
	err := j.run(ctx)
	j.result.Quarantined = int(r.Run.Taken())
	return j.result, err
}

// job is the state of one restore.
type job struct {
	*Restorer
	plan   Plan
	cache  *PackCache
	roots  map[string]*os.Root
	closed map[string]error // roots that cannot be written to
	failed map[userdata.Name]bool
	result Result

	done, total int64
}

func (j *job) run(parent context.Context) error {
	ids := j.DataSet.Packs(j.plan.Names()...)
	cache, err := NewPackCache(j.CacheDir, j.Open, j.uses())
	if err != nil {
		return err
	}
	j.cache = cache
	ctx, cancel := context.WithCancel(parent)
	var filling sync.WaitGroup
	filling.Go(func() { _ = cache.Fill(ctx, ids, j.Fetch) }) // its error reaches us through Pack
	err = j.writeAll(ctx)
	cancel()
	filling.Wait()
	if err != nil {
		return err
	}
	if err := j.prove(parent); err != nil {
		return err
	}
	return cache.Discard()
}

func (j *job) uses() map[vault.BlobID]int {
	uses := make(map[vault.BlobID]int)
	for _, a := range j.plan.Actions {
		for _, id := range j.DataSet.Packs(a.Want.Name) {
			uses[id]++
		}
	}
	return uses
}

// writeAll writes class by class, so that the hooks of the service books run
// while preferences and user data are still on their way.
func (j *job) writeAll(ctx context.Context) error {
	for _, c := range userdata.Classes() {
		actions := slices.DeleteFunc(slices.Clone(j.plan.Actions), func(a Action) bool { return a.Want.Class != c })
		if len(actions) == 0 {
			continue
		}
		before := j.result.Restored
		if err := j.writeClass(ctx, actions); err != nil {
			return err
		}
		if j.result.Restored > before {
			j.runHook(ctx, c)
		}
	}
	return ctx.Err()
}

func (j *job) writeClass(ctx context.Context, actions []Action) error {
	for _, a := range actions {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := j.write(ctx, a); err != nil {
			return err
		}
	}
	return j.finishDirs(actions)
}

// write restores one item. An error is returned only when going on makes no
// sense: the link is gone, or the daemon stops.
func (j *job) write(ctx context.Context, a Action) error {
	root, err := j.root(a.Want.Name.Root())
	if err == nil {
		err = writeItem(ctx, root, a, j.Run, j.contents(a.Want.Name))
	}
	if err == nil {
		j.result.Restored++
		j.advance(a.Want.Size)
		return j.cache.Release(j.DataSet.Packs(a.Want.Name))
	}
	if j.interrupted(ctx, err) {
		return err
	}
	j.fail(a, err)
	return nil
}

// interrupted tells a broken conversation from a broken item.
func (j *job) interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, ErrInterrupted)
}

// ErrInterrupted is wrapped by a Fetch that can be tried again later: the link
// went, or the reader did.
var ErrInterrupted = errors.New("interrupted")

func (j *job) fail(a Action, err error) {
	j.Log.Warn("item not restored", "item", userdata.Printable(string(a.Want.Name)), "error", err)
	j.failed[a.Want.Name] = true
	j.result.Failed = append(j.result.Failed, detect.Finding{
		Name: a.Want.Name, Class: a.Want.Class, Verdict: detect.Unavailable, Reason: err.Error(),
	})
}

func (j *job) advance(bytes int64) {
	j.done += bytes
	if j.Progress != nil {
		j.Progress(j.done, j.total)
	}
}

func (j *job) contents(n userdata.Name) contents {
	return func(ctx context.Context, w io.Writer) error {
		entry, ok := j.DataSet.Entry(n)
		if !ok {
			return fmt.Errorf("cannot find %q in the data set", userdata.Printable(string(n)))
		}
		return entry.Content(ctx, j.cache, w)
	}
}

// root opens a root, making it if it is gone. A root that cannot be written to
// says so once, for all its items, before anything is touched.
func (j *job) root(name string) (*os.Root, error) {
	if r, ok := j.roots[name]; ok {
		return r, nil
	}
	if err, known := j.closed[name]; known {
		return nil, err
	}
	r, err := j.openRoot(name)
	if err != nil {
		j.closed[name] = err
		return nil, err
	}
	j.roots[name] = r
	return r, nil
}

func (j *job) openRoot(name string) (*os.Root, error) {
	where, ok := j.Space.Root(name)
	if !ok {
		return nil, fmt.Errorf("no root is called %q on this device", name)
	}
	made, err := makeRoot(where.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot make the root %q: %w", name, err)
	}
	r, err := os.OpenRoot(where.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the root %q: %w", name, err)
	}
	if want, saved := j.DataSet.Entry(userdata.Name(name)); made && saved {
		if err := dirMetadata(r, ".", want.Item); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot restore the root %q: %w", name, err), r.Close())
		}
	}
	if err := errors.Join(probe(r), j.clean(r, name)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write to the root %q (%s): %w", name, where.Path, err), r.Close())
	}
	return r, nil
}

// makeRoot makes the directory of a root that is gone, and tells whether it did.
func makeRoot(dir string) (made bool, err error) {
	if _, err := os.Stat(dir); err == nil {
		return false, nil
	}
	return true, os.MkdirAll(dir, 0o700)
}

// probe makes sure that files can be made in the root, without making one: that
// would move the directory's modification time.
func probe(r *os.Root) error {
	d, err := r.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Faccessat(int(d.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return &os.SyscallError{Syscall: "access", Err: err}
	}
	return nil
}

// clean removes the unfinished files of an earlier run from every directory
// that this one writes to.
func (j *job) clean(r *os.Root, name string) error {
	seen := make(map[string]bool)
	for _, a := range j.plan.Actions {
		dir := path.Dir(a.Want.Name.Rel())
		if a.Want.Name.Root() != name || seen[dir] {
			continue
		}
		seen[dir] = true
		if err := removeLeftovers(r, dir); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) closeRoots() {
	for _, r := range j.roots {
		if err := r.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			j.Log.Warn("cannot close a root", "error", err)
		}
	}
}

func (j *job) runHook(ctx context.Context, c userdata.Class) {
	if j.Hook == nil {
		return
	}
	if err := j.Hook(ctx, c); err != nil {
		j.Log.Warn("hook failed", "class", c, "error", err)
		j.result.Hooks = append(j.result.Hooks, fmt.Sprintf("%s: %v", c, err))
	}
}
