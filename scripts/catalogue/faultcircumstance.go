package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// moment is the circumstances in which faults of a kind happen. Those of one
// moment are tried together.
type moment int

const (
	anytime      moment = iota
	settled             // the files have been left alone for a while
	reworked            // ... after they had been edited or made, and not been saved since
	readOnly            // the file system is mounted read-only
	outOfRange          // the reader is
	down                // the daemon does not run
	stateLost           // neither, and its state is gone
	stateBad            // ... is garbage
	stateFlipped        // ... has flipped bits
	stateOld            // ... is that of before the last backup
	noEnd               // the end of the medium cannot be read
	massive             // whole roots at once
	coarse              // times of a second
	unmounted           // the roots are not mounted: their mount point is empty
	innerAway           // a directory in each root is not mounted
	skeleton            // the mount point holds empty directories where the roots are to be
	checksums           // the file system has them
	remounted           // the medium was mounted again since, under another number
	goesReadOnly        // the file system, right afterwards
	innerGone           // a subvolume in each root
	spotted             // some blocks of the medium are bad
	flickering          // ... now and then
	lossy               // ... and keep nothing
	unlistable          // blocks of directories are bad
	failed              // the file system goes read-only upon an error of its own
	dead                // nothing can be read from the medium
)

// circumstanceKinds happen while something else is not as usual.
func circumstanceKinds() []kind {
	at := func(when moment, k kind, name string) kind {
		k.when, k.name = when, name
		return k
	}
	gone, json := lossKinds()[0], formatKinds()[0]
	cut := written("", "long", func(b []byte, _ *rand.Rand) []byte { return b[:5*block] })
	nul := written("", "text", func(b []byte, _ *rand.Rand) []byte { return make([]byte, len(b)) })
	bit := silentKinds()[0]
	eio := kind{name: "read error (EIO) of the medium", on: everywhere(), want: corrupted(), root: true, deep: true, when: noEnd,
		inject: func(context.Context, *victim) error { return nil }} // it is one for all of them
	sum := kind{name: "btrfs: block flipped, found by its check sum (EIO)", format: "binary", on: everywhere(), want: corrupted(),
		root: true, deep: true, when: checksums, inject: flipUnderSum}
	away := kind{on: everywhere(), want: []string{"unavailable"}, root: true}
	return []kind{
		at(readOnly, bit, "silent: one bit, while mounted read-only"),
		at(reworked, doubtful(bit), "silent: one bit, after an edit that is not saved yet"),
		at(reworked, unsaved(bit), "silent: one bit, in a new file that is not saved yet"),
		at(remounted, bit, "silent: one bit, mounted under another number since"),
		at(outOfRange, gone, "reader out of range: file deleted"),
		at(outOfRange, cut, "reader out of range: cut at a block boundary"),
		at(down, gone, "daemon down: file deleted"),
		at(down, nul, "daemon down: all NUL"),
		at(down, json, "daemon down: JSON cut"),
		at(stateLost, gone, "daemon's state lost: file deleted"),
		at(stateLost, nul, "daemon's state lost: all NUL"),
		at(stateBad, gone, "daemon's state damaged: file deleted"),
		at(stateBad, nul, "daemon's state damaged: all NUL"),
		at(stateFlipped, gone, "bits flipped in the daemon's state: file deleted"),
		at(stateFlipped, nul, "bits flipped in the daemon's state: all NUL"),
		at(stateOld, nul, "daemon's state set back: all NUL, saved since"),
		eio,
		at(coarse, bit, "silent: one bit, file system with times of a second"),
		at(innerAway, away, "directory in a root not mounted"),
		at(unmounted, away, "roots not mounted, mount point empty"),
		at(skeleton, away, "roots not mounted, mount point with empty directories"),
		sum,
	}
}

// meanwhile does the harm of a batch between two changes of the circumstances; the
// time counts from the second.
func (st *stage) meanwhile(ctx context.Context, b *batch, before, after func() error) error {
	if err := before(); err != nil {
		return err
	}
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
		t.at = time.Now()
	}
	if err := after(); err != nil {
		return err
	}
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

func (st *stage) whileDown(ctx context.Context, b *batch, also func() error) error {
	return st.meanwhile(ctx, b,
		func() error { return errors.Join(st.rig.stop(ctx, "reprovisiond"), also()) },
		func() error { return st.rig.start(ctx, "reprovisiond") })
}

func (st *stage) whileOutOfRange(ctx context.Context, b *batch) error {
	link := func(what string) error { return st.rig.sandbox(ctx, "link", st.rig.dir, what) }
	if err := link("cut"); err != nil {
		return err
	}
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	// What can be found without the reader is found now; nothing can be mended.
	if err := b.ask(ctx); err != nil {
		return err
	}
	if err := link("mend"); err != nil {
		return err
	}
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

func (st *stage) whileReadOnly(ctx context.Context, b *batch) error {
	if st.rig.image == nil {
		return b.try(ctx) // they are skipped
	}
	if err := st.rig.image.mount(ctx, "remount", "ro"); err != nil {
		return err
	}
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	if err := b.ask(ctx); err != nil {
		return err
	}
	if err := st.rig.image.mount(ctx, "remount", "rw"); err != nil {
		return err
	}
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

func (st *stage) stateFile() string { return filepath.Join(st.rig.dir, "device", "state.db") }

// withState starts the daemon after a change of its state. One that does not
// start any more gets none, so that the others can go on.
func (st *stage) withState(ctx context.Context, b *batch, change func() error) error {
	err := st.whileDown(ctx, b, change)
	if err == nil || ctx.Err() != nil {
		return err
	}
	for _, t := range b.trials {
		t.refuse(fmt.Errorf("the daemon does not start: %w", err))
	}
	if err := errors.Join(os.Remove(st.stateFile()), st.rig.start(ctx, "reprovisiond")); err != nil {
		return err
	}
	return b.clear(ctx)
}

func (st *stage) whileStateLost(ctx context.Context, b *batch) error {
	return st.withState(ctx, b, func() error { return os.Remove(st.stateFile()) })
}

func (st *stage) whileStateBad(ctx context.Context, b *batch) error {
	return st.withState(ctx, b, func() error { return os.WriteFile(st.stateFile(), garbage(b.trials[0].v.rnd, 64<<10), 0o600) })
}

// whileStateFlipped flips a bit in the middle of every page that holds values, as
// a failing medium does.
func (st *stage) whileStateFlipped(ctx context.Context, b *batch) error {
	return st.withState(ctx, b, func() error {
		data, err := os.ReadFile(st.stateFile())
		if err != nil {
			return err
		}
		for at := 4*block + block/2; at < len(data); at += block {
			data[at] ^= 4
		}
		return os.WriteFile(st.stateFile(), data, 0o600)
	})
}

// whileStateOld has the files saved once more after the state was copied: what
// comes back must be what the reader has, not what the old state says.
func (st *stage) whileStateOld(ctx context.Context, b *batch) error {
	if err := st.rig.stop(ctx, "reprovisiond"); err != nil {
		return err
	}
	old, err := os.ReadFile(st.stateFile())
	if err := errors.Join(err, st.rig.start(ctx, "reprovisiond")); err != nil {
		return err
	}
	for _, t := range b.trials {
		if !t.open() {
			continue
		}
		t.refuse(t.v.write(prose(t.v.rnd, 3000)))
		t.v.kept = nil
		t.refuse(t.v.keep(t.v.path))
	}
	if err := st.inRange(ctx); err != nil {
		return err
	}
	if err := st.rig.backup(ctx); err != nil {
		return err
	}
	return st.withState(ctx, b, func() error { return os.WriteFile(st.stateFile(), old, 0o600) })
}

// inRange waits for the session with the reader.
func (st *stage) inRange(ctx context.Context) error {
	for end := time.Now().Add(callTime); ; {
		is, err := st.rig.status(ctx)
		if err == nil && is.InRange {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the reader does not come into range: %w", err)
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
}
