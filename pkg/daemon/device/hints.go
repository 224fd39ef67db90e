package device

import (
	"context"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
)

// together is how long to wait for further hints: each root has its own.
const together = 10 * time.Millisecond

// news is what the watch tells.
type news struct {
	roots   map[string]bool // that are being watched, as far as is known
	names   []userdata.Name
	unnamed []string // roots in which something happened, and nobody can say where
	opened  []string // roots in which something may be writable that was not
}

// gather takes in a hint and those that come with it. open tells whether there will be more.
func (n *news) gather(h watch.Hint, hints <-chan watch.Hint) (open bool) {
	n.take(h)
	timer := time.NewTimer(together)
	defer timer.Stop()
	for {
		select {
		case h, open := <-hints:
			if !open {
				return false
			}
			n.take(h)
		case <-timer.C:
			return true
		}
	}
}

func (n *news) take(h watch.Hint) {
	if n.roots == nil {
		n.roots = make(map[string]bool)
	}
	if h.Rescan {
		n.roots[h.Root], n.unnamed = !h.Blind, append(n.unnamed, h.Root)
	}
	if h.Remounted {
		n.opened = append(n.opened, h.Root)
	}
	n.names = append(n.names, h.Names...)
}

// remounted is in which roots what could not be mended before may be writable now. They
// are told once.
func (n *news) remounted() []string {
	opened := n.opened
	n.opened = nil
	return opened
}

// look is the look that the news are worth, after which they are none any more. A root
// whose watch has not begun gives no hints, so that its items are looked at with those
// of the others.
func (n *news) look(space userdata.Space) *look {
	l := &look{why: "watch", urgent: n.critical(space)}
	unwatched := slices.ContainsFunc(space.Roots(), func(r userdata.Root) bool { return !n.roots[r.Name] })
	if len(n.unnamed) == 0 && !unwatched && len(n.names) <= fewNames {
		l.names = n.names
	}
	n.names, n.unnamed = nil, nil
	return l
}

// critical tells whether the news are about service books or keys.
func (n *news) critical(space userdata.Space) bool {
	at := func(root string) bool {
		r, known := space.Root(root)
		return known && r.Class.Critical()
	}
	return slices.ContainsFunc(n.unnamed, at) ||
		slices.ContainsFunc(n.names, func(name userdata.Name) bool { return at(name.Root()) })
}

// view is what the last look saw of the whole space, where nothing has happened since
// that no hint tells of.
type view struct {
	now   scan.Result
	took  time.Duration // the last look at all of it
	since time.Time     // then it was first brought up to date in part; zero for not at all
}

// A watch does not tell everything, so while there are hints there is a look at
// everything from time to time: of the time it takes at most a hundredth.
const (
	viewAge   = time.Minute
	viewShare = 100
)

func (v *view) fresh(now time.Time) bool {
	return v != nil && (v.since.IsZero() || now.Sub(v.since) < max(viewAge, viewShare*v.took))
}

// partial tells whether there has been no look at everything since the last hint.
func (v *view) partial() bool { return v != nil && !v.since.IsZero() }

// confirmed is the view, if files that were read anew, every byte, are as it has them; else
// nil, so that the next look sees them.
func (v *view) confirmed(names []userdata.Name, found scan.Result) *view {
	if v == nil || len(found.Problems) > 0 {
		return nil
	}
	for _, n := range names {
		was, known := v.now.Manifest.Find(n)
		is, there := found.Manifest.Find(n)
		seen, _ := v.now.Observed(n)
		if at, _ := found.Observed(n); known != there || known && (at != seen || !was.Equal(is)) {
			return nil
		}
	}
	kept := *v
	kept.now.Cache = v.now.Cache.With(found.Cache, names)
	return &kept
}

// refresh brings the last view up to date; nil when a scan of everything has to.
func (d *Daemon) refresh(ctx context.Context, l look) (*view, error) {
	before, start := d.book.view(), time.Now()
	if len(l.names) == 0 || l.deep || l.critical || !before.fresh(start) {
		return nil, nil
	}
	v := view{took: before.took, since: before.since}
	if v.since.IsZero() {
		v.since = start
	}
	var err error
	v.now, err = d.scanner.Refresh(ctx, before.now, l.names, scan.Options{})
	if err != nil || directoryGone(l.names, before.now.Manifest, v.now.Manifest) {
		return nil, err
	}
	return &v, nil
}

// directoryGone tells whether one of the names was a directory's and is no more. It may
// be anywhere, with all that lies in it.
func directoryGone(names []userdata.Name, before, now manifest.Manifest) bool {
	return slices.ContainsFunc(names, func(n userdata.Name) bool {
		was, known := before.Find(n)
		is, there := now.Find(n)
		return known && was.Type == manifest.Dir && (!there || is.Type != manifest.Dir)
	})
}
