package watch

import (
	"errors"
	"log/slog"
	"slices"
	"time"
)

// maxLooks bounds how often in a row check looks at the roots.
const maxLooks = 3

// lose forgets that roots are watched; check watches them anew.
func (l *loop) lose(roots ...*root) {
	for _, r := range roots {
		if r.via != "" {
			l.unwatch(r)
			l.hints.rescan(r.Name, false)
		}
	}
}

func (l *loop) unwatch(r *root) {
	if l.tree != nil {
		l.tree.remove(r.Name)
	}
	if l.fan != nil {
		l.fan.remove(r.Name)
	}
	r.via = ""
}

// check sees to it that all roots are watched where they lie now. A look that
// found something new is followed by another, as only the new places' ways make
// sure that a change since the look is told. Whoever keeps on moving roots about
// meanwhile is seen by the anchor.
func (l *loop) check() {
	for range maxLooks {
		if !l.lookAround() {
			break
		}
	}
	l.inUse.Store(l.using())
}

// lookAround looks at the places of all roots, and tells whether one is watched
// that was not. The anchor is set first, so that a change after the look is told.
func (l *loop) lookAround() (found bool) {
	l.setAnchor()
	l.next = time.Time{}
	defer l.rest()
	for _, r := range l.roots {
		now, err := look(r.Path)
		if err == nil {
			l.heedRemount(r, now)
		}
		if err == nil && r.via != "" && now.same(r.place) {
			continue
		}
		l.lose(r)
		if err == nil {
			r.place = now
			err = l.watch(r)
		}
		l.report(r, err)
		found = found || err == nil
	}
	return found
}

// heedRemount tells when a root that lies where it lay has become writable, or read-only,
// or something mounted in it has.
func (l *loop) heedRemount(r *root, now place) {
	if now.same(r.place) && !slices.Equal(now.readOnly, r.place.readOnly) {
		l.hints.remounted(r.Name, r.blind)
		r.place = now
	}
}

// setAnchor watches the ways to the roots, as configured and as resolved, and to
// what is mounted below them.
func (l *loop) setAnchor() {
	var paths []string
	for _, r := range l.roots {
		paths = append(paths, r.Path)
		if r.place.path != "" {
			paths = append(paths, r.place.path)
			paths = append(paths, r.place.mounts...)
		}
	}
	blind := l.anchor.set(paths)
	for _, r := range l.roots {
		r.anchored = !blind[r.Path]
	}
}

// watch begins to watch a root, by fanotify if that is allowed and possible.
func (l *loop) watch(r *root) (err error) {
	if l.fan != nil {
		if err = l.fan.add(r.Name, r.place.path, r.place.mounts); err == nil {
			r.via = Fanotify
			return nil
		}
		l.log.Debug("a root cannot be watched by fanotify", "root", r.Name, "err", err)
	}
	if l.backend == Fanotify {
		return err
	}
	if l.tree == nil {
		if l.tree, err = openTree(l.hints, l.log); err != nil {
			return err
		}
	}
	if err = l.tree.add(r.Name, r.place.path); err == nil {
		r.via = Inotify
	}
	return err
}

// report says in a hint and in the log what became of a root. That one is not there
// is no reason to look for it: the anchor tells when it comes. One that is there and
// cannot be watched, or that may come unnoticed, is looked for from time to time.
func (l *loop) report(r *root, err error) {
	log := l.log.With(slog.String("root", r.Name), slog.String("path", r.Path))
	if err == nil {
		l.inUse.Store(l.using()) // so that whoever hears the hint can tell
		l.hints.rescan(r.Name, false)
		r.err = ""
		log.Info("a root is being watched", "backend", string(r.via))
		return
	}
	blind := !r.anchored || !errors.Is(err, errNoDirectory)
	if blind {
		l.next = l.now().Add(l.pause)
	}
	if said := err.Error(); r.err != said || r.blind != blind {
		r.err, r.blind = said, blind
		l.hints.rescan(r.Name, blind)
		log.Warn("a root cannot be watched", "err", err)
	}
}

// rest makes the next wait for what cannot be watched a longer one, and the first
// one short when there has been none.
func (l *loop) rest() {
	if l.next.IsZero() {
		l.pause = retryFirst
	}
}

func (l *loop) using() Backend {
	var using Backend
	for _, r := range l.roots {
		switch {
		case r.via == "" || r.via == using:
		case using == "":
			using = r.via
		default:
			using = Mixed
		}
	}
	return using
}
