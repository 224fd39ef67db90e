package reprovision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// finishDirs gives the directories of a class their own mode, the deepest first, now
// that everything is in them.
func (j *job) finishDirs(actions []Action) {
	for _, a := range slices.Backward(actions) {
		if a.Want.Type != manifest.Dir || !j.written[a.Want.Name] {
			continue
		}
		root, err := j.root(a.Want.Name.Root())
		if err == nil {
			err = finishDir(root, a.Want)
		}
		if err != nil {
			j.fail(a, err)
		}
	}
}

// touched are the directories of a class that this attempt and the earlier ones made, or
// wrote something into.
func (j *job) touched(c userdata.Class, actions []Action) map[userdata.Name]bool {
	items := maps.Clone(j.Begun)
	if items == nil {
		items = make(map[userdata.Name]bool)
	}
	for _, a := range actions {
		items[a.Want.Name] = true
	}
	dirs := make(map[userdata.Name]bool)
	for n := range items {
		if e, saved := j.DataSet.Entry(n); saved && e.Class == c {
			dirs[n.Parent()] = true
			if e.Type == manifest.Dir {
				dirs[n] = true
			}
		}
	}
	return dirs
}

// settleTimes sets the modification times of directories. It is a nicety: failing at it
// fails nothing.
func (j *job) settleTimes(dirs map[userdata.Name]bool) {
	children := j.children(dirs)
	for n := range dirs {
		want, saved := j.DataSet.Entry(n)
		if !saved || want.Type != manifest.Dir {
			continue
		}
		root, err := j.root(n.Root())
		if err == nil {
			err = settleTime(root, want.Item, children[n])
		}
		if err != nil {
			j.Log.Debug("cannot set a directory's time", "item", userdata.Printable(string(n)), "error", err)
		}
	}
}

// children lists what each of the directories held when it was saved.
func (j *job) children(dirs map[userdata.Name]bool) map[userdata.Name]map[string]bool {
	held := make(map[userdata.Name]map[string]bool, len(dirs))
	for _, it := range j.DataSet.Manifest().Items() {
		parent := it.Name.Parent()
		if it.Name.IsRoot() || !dirs[parent] {
			continue
		}
		if held[parent] == nil {
			held[parent] = make(map[string]bool)
		}
		held[parent][path.Base(string(it.Name))] = true
	}
	return held
}

// prove reads every item that was written back from the medium and compares it
// with what was saved. It is the end of every restore (paragraph 37: the same
// functionality that existed at the time of the last backup). refuse is told
// what does not compare.
func (j *job) prove(ctx context.Context, refuse func(Action, error)) error {
	return j.proveThose(ctx, refuse, func(Action) bool { return true })
}

// proveThose proves what is not proved yet of the actions that are chosen.
func (j *job) proveThose(ctx context.Context, refuse func(Action, error), chosen func(Action) bool) error {
	var actions []Action
	var names []userdata.Name
	for _, a := range j.plan.Actions {
		if n := a.Want.Name; j.written[n] && !j.failed[n] && !j.proved[n] && chosen(a) {
			actions, names = append(actions, a), append(names, n)
		}
	}
	j.unproved = 0
	if len(names) == 0 {
		return nil
	}
	found, err := j.Reread(ctx, names)
	if err != nil {
		return fmt.Errorf("cannot read back what was restored: %w", err)
	}
	for _, a := range actions {
		if err := compare(a.Want, found); err != nil {
			refuse(a, err)
			continue
		}
		j.proved[a.Want.Name] = true
		j.result.Verified++
		j.result.Done = append(j.result.Done, a.Want.Name)
	}
	return nil
}

// proofBytes is how much is written between two proofs: what is left to prove when
// the restore has to give way, or is through, is soon read.
const proofBytes = 32 << 20

// proveInTime proves what was written when it has become much, but for directories:
// they are not finished.
func (j *job) proveInTime(ctx context.Context) {
	if j.unproved < proofBytes {
		return
	}
	err := j.proveThose(ctx, j.fail, func(a Action) bool { return a.Want.Type != manifest.Dir })
	if err != nil && ctx.Err() == nil {
		j.Log.Warn("what was restored up to now is not proved yet", "error", err) // the end proves it
	}
}

// proveSoFar proves what an interrupted restore has written: no later attempt
// plans it again. Directories that still wait for what lies in them get their
// own metadata in the end, so they are not held against anything yet.
func (j *job) proveSoFar(ctx context.Context) {
	if ctx.Err() != nil {
		return // the daemon stops
	}
	err := j.prove(ctx, func(a Action, err error) {
		if a.Want.Type != manifest.Dir {
			j.fail(a, err)
		}
	})
	if err != nil {
		j.Log.Warn("what was restored before the interruption is not proved", "error", err)
	}
}

// ErrNotIdentical means that an item was written and does not read back as it
// was saved.
var ErrNotIdentical = errors.New("does not read back as it was saved")

func compare(want manifest.Item, found manifest.Manifest) error {
	got, there := found.Find(want.Name)
	switch {
	case !there:
		return fmt.Errorf("%w: it is not there", ErrNotIdentical)
	case !got.SameContents(want):
		return fmt.Errorf("%w: the contents differ", ErrNotIdentical)
	case !got.SameMetadata(want):
		return fmt.Errorf("%w: mode, owner, time or attributes differ", ErrNotIdentical)
	}
	return nil
}
