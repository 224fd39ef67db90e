package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// DefaultSettle is how long a file must have been left alone before the cache
// trusts it. It is more than the coarsest timestamps in use, the two seconds of
// FAT, and more than the 35 seconds after which Linux has written dirty pages
// out, so that what is settled need hardly ever be written out for the scan.
const DefaultSettle = 45 * time.Second

// ErrNoRoot is wrapped by errors about a name whose root the space has not.
var ErrNoRoot = errors.New("no such root")

// Options tells how to scan. The zero Options is a quick scan at full speed.
type Options struct {
	Deep bool // read every byte again, whatever the cache says
	// DeepCritical has that done with the service books and keys.
	DeepCritical bool

	Rate   int64         // bytes of contents per second at most; 0 is no limit
	Settle time.Duration // see Entry.Settled; 0 is DefaultSettle
	// Hands is how many files are looked at side by side, at most 16; 0 is one.
	// With a Rate it is one in any case. Only one is looked at by the caller's
	// goroutine, and with the priority of its thread.
	Hands int
	// Progress is told of contents that were looked through: how many bytes more, none of
	// them twice. What the cache vouches for counts as soon as it is met. It may be called from several
	// goroutines at once; nil for nobody.
	Progress func(bytes int64)
}

func (o Options) deep(c userdata.Class) bool { return o.Deep || o.DeepCritical && c.Critical() }

// Scanner walks a user-data space.
type Scanner struct {
	space   userdata.Space
	now     func() time.Time
	examine Examiner
}

// New returns a scanner of the space. now is the wall clock that the files'
// ctimes are compared with, time.Now but for tests. examine may be nil. Both are
// called from several goroutines at once.
func New(space userdata.Space, now func() time.Time, examine Examiner) *Scanner {
	return &Scanner{space: space, now: now, examine: examine}
}

// Scan walks the whole space. It fails only when the context ends: what cannot
// be read is part of the result.
func (s *Scanner) Scan(ctx context.Context, cache Cache, opts Options) (Result, error) {
	w := s.newWalk(cache, opts)
	w.out.expect(cache.Len())
	for _, r := range s.space.Roots() {
		if err := w.inRoot(r, func(d dir) error { return w.tree(ctx, d) }); err != nil {
			return Result{}, err
		}
	}
	return w.finish()
}

// ScanNames looks at these items only, and at all that lies below those that are
// directories. The cache may be that of the whole space; the result's holds
// only what was asked for.
func (s *Scanner) ScanNames(ctx context.Context, names []userdata.Name, cache Cache, opts Options) (Result, error) {
	w := s.newWalk(cache, opts)
	names = w.admit(s.space, names)
	set := make(map[userdata.Name]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	for _, r := range s.space.Roots() {
		if err := w.namesIn(ctx, r, names, set); err != nil {
			return Result{}, err
		}
	}
	res, err := w.finish()
	if err == nil {
		res.findAbsent(names)
	}
	return res, err
}

// admit returns the names that can be items of the space, sorted, each once.
func (w *walk) admit(space userdata.Space, names []userdata.Name) []userdata.Name {
	var good []userdata.Name
	for _, n := range names {
		_, err := userdata.ParseName(string(n))
		if _, ok := space.Root(n.Root()); err == nil && !ok {
			err = fmt.Errorf("%w: %q", ErrNoRoot, userdata.Printable(n.Root()))
		}
		if err != nil {
			w.problem(n, BadName, err)
			continue
		}
		good = append(good, n)
	}
	slices.Sort(good)
	return slices.Compact(good)
}

// namesIn looks at those of the names that lie in the root, but not twice at
// what lies below another of them.
func (w *walk) namesIn(ctx context.Context, r userdata.Root, names []userdata.Name, set map[userdata.Name]bool) error {
	var mine []userdata.Name
	for _, n := range names {
		if n.Root() == r.Name && (n.IsRoot() || !coveredBy(set, n.Parent())) {
			mine = append(mine, n)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	return w.inRoot(r, func(d dir) error {
		for _, n := range mine {
			if err := w.one(ctx, d, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// one looks at a single item of the root and at what lies below it.
func (w *walk) one(ctx context.Context, root dir, n userdata.Name) error {
	if n.IsRoot() {
		return w.tree(ctx, root)
	}
	parent, err := openParent(root, n)
	if errors.Is(err, ErrSymlinkInWay) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return ctx.Err() // no item has this name
	}
	if err != nil {
		w.problem(n, reasonOf(err), err)
		return ctx.Err()
	}
	defer parent.close()
	isDir, err := w.entry(ctx, parent, base(n))
	if err != nil || !isDir {
		return err
	}
	return w.descend(ctx, parent, base(n))
}

func (s *Scanner) newWalk(cache Cache, opts Options) *walk {
	if opts.Settle <= 0 {
		opts.Settle = DefaultSettle
	}
	out := new(harvest)
	w := s.newHand(cache, opts, out)
	w.dents = make([]byte, direntSize)
	if opts.Rate <= 0 {
		for range min(opts.Hands, maxHands) - 1 {
			w.hands = append(w.hands, s.newHand(cache, opts, out))
		}
	}
	return w
}

// newHand makes a walk that looks at entries only, and lists no directory.
func (s *Scanner) newHand(cache Cache, opts Options, out *harvest) *walk {
	return &walk{
		cache: cache, opts: opts, now: s.now, sum: sha256.New(), buf: make([]byte, readSize),
		pace: pacer{rate: opts.Rate}, examine: s.examine, out: out,
		res: Result{Dangling: make(map[userdata.Name]bool), FSTypes: make(map[uint64]int64)},
	}
}
