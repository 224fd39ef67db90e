package reprovision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Result is what one attempt at a restore did. Where a link goes, a reprovision
// takes several attempts, each with a plan of its own: an item that an earlier
// one has written is in no later plan. The names say what became of the whole:
//   - Done lists the items that this attempt wrote and read back identical. An
//     interrupted attempt too proves what it has written, unless its context has
//     ended; a directory that is not finished yet is left out, silently.
//   - Failed lists the items that this attempt gave up, each once. A later
//     attempt may try them again.
//   - An item of the plan that is in neither was not reached, or not proved.
//
// No name is in both. So the outcome of several attempts is, for each name, what
// the last attempt says that lists it. The counts are those of this attempt:
// Restored and Quarantined may be added up, except that an item which was
// written twice counts twice; Verified is always len(Done), and of the whole the
// number of names that end up done.
type Result struct {
	Planned     int              // items in this attempt's plan
	Restored    int              // written
	Verified    int              // read back and found identical
	Quarantined int              // kept in the quarantine before something took their place
	Failed      []detect.Finding // given up; Reason says why; the verdict is Unavailable
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
	Run      *Run        // keeps what is replaced
	// Mounts tells, by the name of a root, where the file system was mounted on which it
	// lay. Nothing is made in a root that lies on the file system below that now.
	Mounts map[string]string
	// Hook makes the system take up a class; nil for none.
	Hook func(ctx context.Context, c userdata.Class) error
	// Due lists classes whose hook an interrupted run still owes. It is run even
	// if this run writes nothing of them, in the order of the classes.
	Due []userdata.Class
	// Begun are the items of the earlier attempts: the directories of those get their times,
	// too, once everything is in them.
	Begun map[userdata.Name]bool
	// Owe notes durably whether the hook of a class is owed: with true before the
	// first item of the class is written, with false once its hook ran (whether
	// it failed or not) or turned out not to be needed. What was noted with true
	// and not with false belongs into Due the next time. An error of it stops
	// nothing and is reported in Result.Hooks. May be nil; it is not called where
	// Hook is nil.
	Owe func(c userdata.Class, owed bool) error
	// Settled is called once, when the service books and keys are in place with
	// their hooks, or there are none to restore. From then on the restore gives way as
	// soon as GiveWay is closed: it ends with ErrGaveWay at the next item, or where it
	// waits for a pack in the middle of one. Both may be nil.
	Settled func()
	GiveWay <-chan struct{}
	// Reread reads items anew from the medium, every byte.
	Reread func(ctx context.Context, names []userdata.Name) (manifest.Manifest, error)
	// Progress is told how many bytes of contents are in place. May be nil.
	Progress func(done, total int64)
	Log      *slog.Logger
}

// Restore carries out the plan, which may be empty: then it runs the hooks that
// are due. The error says that it was interrupted, and the result how far it
// got; items that cannot be restored are in the result and stop nothing else.
func (r *Restorer) Restore(ctx context.Context, plan Plan) (Result, error) {
	j := &job{Restorer: r, plan: plan, roots: make(map[string]*os.Root), closed: make(map[string]error),
		written: make(map[userdata.Name]bool), failed: make(map[userdata.Name]bool), proved: make(map[userdata.Name]bool)}
	kept := r.Run.Taken()
	j.result.Planned = len(plan.Actions)
	j.total = plan.Bytes()
	defer j.closeRoots()
	err := j.run(ctx)
	j.result.Quarantined = int(r.Run.Taken() - kept)
	return j.result, err
}

// job is the state of one restore.
type job struct {
	*Restorer
	plan    Plan
	cache   *PackCache
	roots   map[string]*os.Root
	closed  map[string]error // roots that cannot be written to
	written map[userdata.Name]bool
	failed  map[userdata.Name]bool
	proved  map[userdata.Name]bool
	result  Result
	settled bool // what follows gives way

	done, total int64
	within      int64 // bytes of the item under way that are written
	unproved    int64 // bytes written since the last proof
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
		j.proveSoFar(parent)
		return err
	}
	if err := j.prove(parent, j.fail); err != nil {
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
		if !c.Critical() {
			j.settle()
		}
		actions := slices.DeleteFunc(slices.Clone(j.plan.Actions), func(a Action) bool { return a.Want.Class != c })
		if len(actions) == 0 && !slices.Contains(j.Due, c) {
			continue
		}
		before := j.result.Restored
		if len(actions) > 0 {
			j.owe(c, true)
		}
		if err := j.writeClass(ctx, c, actions); err != nil {
			return err
		}
		j.takeUp(ctx, c, j.result.Restored > before)
	}
	return ctx.Err()
}

func (j *job) writeClass(ctx context.Context, c userdata.Class, actions []Action) error {
	for _, a := range actions {
		if err := j.mayGoOn(ctx); err != nil {
			return err
		}
		if err := j.write(ctx, a); err != nil {
			return err
		}
		j.proveInTime(ctx)
	}
	j.finishDirs(actions)
	j.settleTimes(j.touched(c, actions))
	return nil
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
		j.written[a.Want.Name] = true
		j.unproved += a.Want.Size
		j.advance(a.Want.Size)
		return j.cache.Release(j.DataSet.Packs(a.Want.Name))
	}
	if j.interrupted(ctx, err) {
		return err
	}
	j.fail(a, err)
	return j.cache.Release(j.DataSet.Packs(a.Want.Name))
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

// counting tells how far a large item is while it is being written.
type counting struct {
	io.Writer
	job *job
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.job.within += int64(n)
	if c.job.Progress != nil {
		c.job.Progress(c.job.done+c.job.within, c.job.total)
	}
	return n, err
}

func (j *job) contents(n userdata.Name) contents {
	return func(ctx context.Context, w io.Writer) error {
		defer func() { j.within = 0 }()
		w = &counting{w, j}
		entry, ok := j.DataSet.Entry(n)
		if !ok {
			return fmt.Errorf("cannot find %q in the data set", userdata.Printable(string(n)))
		}
		return entry.Content(ctx, j.cache, w)
	}
}
