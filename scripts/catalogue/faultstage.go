package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// stage is a scene that is being played.
type stage struct {
	settings
	name   string
	rig    *rig
	corpus *corpus
	brink  *brink    // nil without an image
	filled time.Time // when the last file was written
	ripe   bool      // the files have been left alone long enough
	trials []*trial
}

// raise starts the rig, fills it and saves everything. Where only the image
// cannot be had, the stage of the single faults does without one.
func (st *stage) raise(ctx context.Context, sc scene, dir string) error {
	var err error
	if st.rig, err = up(ctx, st.settings, dir, sc.shape); errors.Is(err, errSkip) && !sc.own && slices.Contains(sc.moments, anytime) {
		st.logf("%s: going on without an image: %v", sc.name, err)
		st.rig, err = up(ctx, st.settings, dir+"-plain", shape{})
	}
	if err != nil {
		return err
	}
	if err := st.prepare(ctx, sc); err != nil {
		return errors.Join(err, st.rig.down())
	}
	return nil
}

func (st *stage) prepare(ctx context.Context, sc scene) error {
	if st.rig.image != nil && slices.Contains(sc.moments, noEnd) {
		if err := st.putAtBrink(); err != nil {
			return err
		}
	}
	var err error
	if slices.Contains(sc.moments, innerAway) {
		err = st.mountInner(ctx, true)
	}
	if slices.Contains(sc.moments, innerGone) {
		err = st.innerSubvolumes(ctx)
	}
	if err == nil {
		st.corpus, err = fill(ctx, st.rig, sc.small, sc.wants)
	}
	if err != nil {
		return err
	}
	// The daemon has seen the databases in their transactions by then.
	if err := errors.Join(pause(ctx, quiet), st.corpus.commit()); err != nil {
		return err
	}
	st.filled = time.Now()
	if err := st.rig.pair(ctx); err != nil {
		return err
	}
	return st.rig.backup(ctx)
}

// skip makes trials of all of the kinds that cannot be tried.
func (st *stage) skip(all []kind, why error) []*trial {
	for _, k := range all {
		for i, c := range userdata.Classes() {
			if k.in(c) {
				t := st.blank(k, i)
				t.refuse(why)
				st.trials = append(st.trials, t)
			}
		}
	}
	return st.trials
}

// blank is a trial in the i-th class that has no file yet.
func (st *stage) blank(k kind, i int) *trial {
	class := userdata.Classes()[i]
	seed := uint64(len(st.trials)*4 + i)
	return &trial{kind: k, class: class, v: &victim{rig: st.rig, stock: st.corpus, class: class, rnd: rand.New(rand.NewPCG(seed, 7))}}
}

// atOnce is how many kinds are tried at the same time: so few that the daemon tells
// of every item, and does not sum them up.
const atOnce = 4

// perform tries the kinds of a moment, some at a time.
func (st *stage) perform(ctx context.Context, m moment, all []kind) error {
	var mine []kind
	for _, k := range all {
		if k.when == m {
			mine = append(mine, k)
		}
	}
	some := atOnce
	if m == massive {
		some = 1
	}
	for together := range slices.Chunk(mine, some) {
		if err := st.ripen(ctx, together); err != nil {
			return err
		}
		b := &batch{rig: st.rig, deep: slices.ContainsFunc(together, func(k kind) bool { return k.deep })}
		for _, k := range together {
			for i, c := range userdata.Classes() {
				if k.in(c) {
					b.trials = append(b.trials, st.cast(k, i))
				}
			}
		}
		st.trials = append(st.trials, b.trials...)
		if err := st.act(ctx, m, b); err != nil {
			return err
		}
		st.tell(together, b)
	}
	return nil
}

// ripen waits for the files to settle where that matters: a silent change can be
// told from a write only then.
func (st *stage) ripen(ctx context.Context, together []kind) error {
	if st.ripe || !together[0].deep {
		return nil
	}
	st.ripe = true
	return st.rig.settle(ctx, st.filled)
}

// cast finds what the trial is done to.
func (st *stage) cast(k kind, i int) *trial {
	switch k.when {
	case massive, unmounted, skeleton, dead:
		return massTrial(st, k, i)
	case noEnd:
		return brinkTrial(st, k, i)
	case innerAway, innerGone:
		return innerTrial(st, k, i)
	}
	t := st.blank(k, i)
	t.pick()
	return t
}

func (st *stage) act(ctx context.Context, m moment, b *batch) error {
	switch m {
	case reworked:
		return st.whileReworked(ctx, b)
	case readOnly:
		return st.whileReadOnly(ctx, b)
	case outOfRange:
		return st.whileOutOfRange(ctx, b)
	case down:
		return st.whileDown(ctx, b, func() error { return nil })
	case stateLost:
		return st.whileStateLost(ctx, b)
	case stateBad:
		return st.whileStateBad(ctx, b)
	case stateFlipped:
		return st.whileStateFlipped(ctx, b)
	case stateOld:
		return st.whileStateOld(ctx, b)
	case noEnd:
		return st.whileEndIsMissing(ctx, b)
	case innerAway:
		return st.whileInnerUnmounted(ctx, b)
	case unmounted:
		return st.whileUnmounted(ctx, b)
	case skeleton:
		return st.whileUnmounted(ctx, b, everywhere()...)
	case remounted:
		return st.whileRemounted(ctx, b)
	case goesReadOnly:
		return st.whileGoingReadOnly(ctx, b)
	case spotted:
		return st.whileSpotted(ctx, b)
	case flickering:
		return st.whileFlickering(ctx, b)
	case unlistable:
		return st.whileUnlistable(ctx, b)
	case lossy:
		return st.whileLossy(ctx, b)
	case failed:
		return st.whileFailed(ctx, b)
	case dead:
		return st.whileDead(ctx, b)
	}
	return b.try(ctx)
}
