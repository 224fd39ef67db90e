package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"
)

// unsaved is a kind of harm done to a file that no snapshot has: nobody can mend it, and it
// must not be saved as if it were good.
func unsaved(k kind) kind {
	k.left, k.fresh = true, true
	return k
}

// whileReworked edits the files, or makes new ones beside them, and does the harm when they
// have been left alone for long enough, before anything is saved.
func (st *stage) whileReworked(ctx context.Context, b *batch) error {
	for _, t := range b.trials {
		if t.open() {
			t.refuse(t.rework())
		}
	}
	if err := st.rig.settle(ctx, time.Now()); err != nil {
		return err
	}
	b.begin()
	for _, t := range b.trials {
		t.harmWork(ctx)
	}
	if err := b.follow(ctx); err != nil {
		return err
	}
	return errors.Join(b.clear(ctx), b.unmake())
}

// rework is what the owner does: the kind's harm comes to that.
func (t *trial) rework() error {
	work := append(bytes.Clone(t.v.data()), "a line more\n"...)
	if t.kind.fresh {
		t.v.path += ".new"
	}
	return t.v.write(work)
}

// harmWork does the harm to what the owner has made. What the file was before that is what
// their word has to bring back.
func (t *trial) harmWork(ctx context.Context) {
	if !t.open() {
		return
	}
	before := t.v.kept[0]
	work, err := os.ReadFile(t.v.path)
	if err != nil {
		t.refuse(err)
		return
	}
	t.v.kept[0].data = work
	t.harm(ctx)
	t.v.kept[0] = before
}

// unmake removes the new files.
func (b *batch) unmake() error {
	var errs []error
	for _, t := range b.trials {
		if t.kind.fresh && t.open() {
			errs = append(errs, os.Remove(t.v.path))
		}
	}
	return errors.Join(errs...)
}
