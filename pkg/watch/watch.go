package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

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
}

// Watcher watches a user-data space.
type Watcher struct {
	space   userdata.Space
	backend Backend
	log     *slog.Logger
	out     chan Hint
	ran     atomic.Bool
	inUse   atomic.Value // Backend
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
	w := &Watcher{space: space, backend: cfg.Backend, log: log, out: make(chan Hint)}
	w.inUse.Store(Backend(""))
	return w, nil
}

// Hints is where the hints arrive. What happens while nobody receives is merged
// into later ones. The channel is closed when Run returns.
func (w *Watcher) Hints() <-chan Hint { return w.out }

// Backend tells what is in use: Fanotify, Inotify, Mixed, or "" while no root is
// being watched.
func (w *Watcher) Backend() Backend { return w.inUse.Load().(Backend) }

// Run watches until the context ends, and then returns nil. It fails when the
// kernel offers no way to watch at all, or not the one that was asked for. A
// Watcher runs once.
func (w *Watcher) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return ErrRanAlready
	}
	defer close(w.out)
	hints := newCoalescer()
	l, err := newLoop(w, hints)
	if err != nil {
		return fmt.Errorf("cannot watch the user-data space: %w", err)
	}
	defer l.close()
	ctx, cancel := context.WithCancel(ctx)
	var deliver sync.WaitGroup
	deliver.Go(func() { hints.deliver(ctx, w.out) })
	err = l.run(ctx)
	cancel()
	deliver.Wait()
	return err
}
