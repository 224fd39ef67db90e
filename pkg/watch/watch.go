package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Backend is a way to learn of changes.
type Backend string

// The backends. Auto and Mixed are no backends of their own: the one lets each
// root be watched as best it can, the other says that not all roots are watched
// in the same way.
const (
	Auto     Backend = "auto"
	Fanotify Backend = "fanotify"
	Inotify  Backend = "inotify"
	Mixed    Backend = "mixed"
)

// ErrRanAlready is returned by a second Run.
var ErrRanAlready = errors.New("the watcher has run already")

// ErrBadBackend is wrapped by New for a backend that it does not know.
var ErrBadBackend = errors.New("unknown watch backend: want auto, fanotify or inotify")

// Config chooses how to watch. The zero Config is Auto.
type Config struct {
	Backend Backend
}

// Hint names items of one root that may have changed.
type Hint struct {
	Root string
	// Names lists files, symlinks and directories, sorted. A directory stands for
	// all that lies below it.
	Names []userdata.Name
	// Rescan tells that anything in the root may have changed, or the root itself:
	// it was lost or found, or there was too much to name. Names is then empty.
	// Each root's first hint is such a one, given when its watch has begun; for one
	// that is missing, when it is sure to be told that it comes.
	Rescan bool
	// Blind tells that from now on what happens in the root, or that it comes, is not
	// told, until there is another rescan of it.
	Blind bool
	// Remounted tells with a rescan that the root's file system, or one that is mounted in
	// the root, can be written to now though it could not before, or the other way round.
	Remounted bool
}

// Watcher watches a user-data space.
type Watcher struct {
	space   userdata.Space
	backend Backend
	log     *slog.Logger
	out     chan Hint
	ran     atomic.Bool
	inUse   atomic.Value // Backend
	open    func(*Watcher, *coalescer) (*loop, error)
	pause   time.Duration // after the first time that open fails
}

// New returns a watcher of the space that does nothing before Run.
func New(space userdata.Space, cfg Config, log *slog.Logger) (*Watcher, error) {
	switch cfg.Backend {
	case "":
		cfg.Backend = Auto
	case Auto, Fanotify, Inotify:
	default:
		return nil, fmt.Errorf("%w: %q", ErrBadBackend, string(cfg.Backend))
	}
	w := &Watcher{space: space, backend: cfg.Backend, log: log, out: make(chan Hint), open: newLoop, pause: retryFirst}
	w.inUse.Store(Backend(""))
	return w, nil
}

// Hints is where the hints arrive. What happens while nobody receives is merged
// into later ones. The channel is closed when Run returns.
func (w *Watcher) Hints() <-chan Hint { return w.out }

// Backend tells what is in use: Fanotify, Inotify, Mixed, or "" while no root is
// being watched.
func (w *Watcher) Backend() Backend { return w.inUse.Load().(Backend) }

// Run watches until the context ends, and then returns nil. While the kernel grants no
// way to watch at all (no inotify instances left, no descriptors), it says so by a blind
// hint for each root at each try, less and less often. It fails when the way that was asked for is not
// permitted. A Watcher runs once.
func (w *Watcher) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return ErrRanAlready
	}
	defer close(w.out)
	hints := newCoalescer()
	ctx, cancel := context.WithCancel(ctx)
	var deliver sync.WaitGroup
	deliver.Go(func() { hints.deliver(ctx, w.out) })
	defer func() {
		cancel()
		deliver.Wait()
	}()
	l, err := w.begin(ctx, hints)
	if err != nil {
		return fmt.Errorf("cannot watch the user-data space: %w", err)
	}
	if l == nil {
		return nil
	}
	defer l.close()
	return l.run(ctx)
}

// begin opens the watch as soon as that can be done; it returns nil when the context has
// ended before.
func (w *Watcher) begin(ctx context.Context, hints *coalescer) (*loop, error) {
	for wait := w.pause; ctx.Err() == nil; wait = min(2*wait, retryLast) {
		l, err := w.open(w, hints)
		if err == nil || errors.Is(err, errNotPermitted) {
			return l, err
		}
		w.log.Warn("cannot watch the user-data space, trying again later", "error", err, "after", wait)
		for _, r := range w.space.Roots() {
			hints.rescan(r.Name, true)
		}
		pause(ctx, wait)
	}
	return nil, nil //nolint:nilnil // the context has ended: there is nothing to watch, and nothing wrong
}
