package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// scene is a rig and what is tried in it, one moment after the other.
type scene struct {
	name    string
	shape   shape
	small   bool // few files
	own     bool // has kinds of its own, which name it, and none of the others
	moments []moment
}

func scenes() []scene {
	return []scene{
		{name: "medium", shape: shape{fs: "ext4", opt: []string{"-q", "-b", "4096"}},
			moments: []moment{anytime, settled, reworked, remounted, readOnly, outOfRange, down, stateLost, stateBad, stateFlipped, stateOld, noEnd}},
		{name: "roots", small: true, moments: []moment{massive}},
		{name: "mounts", shape: shape{fs: "ext4", opt: []string{"-q", "-b", "4096", "-I", "128"}}, small: true,
			moments: []moment{coarse, innerAway, unmounted, skeleton}},
		{name: "checksums", shape: shape{fs: "btrfs", opt: []string{"-q"}}, small: true, moments: []moment{checksums}},
		{name: onSubvolumes, shape: shape{fs: "btrfs", opt: []string{"-q"}, subvolumes: true}, small: true, own: true,
			moments: []moment{anytime, settled, goesReadOnly, innerGone, massive}},
		{name: onFAT, shape: fatShape(), small: true, own: true,
			moments: []moment{anytime, settled, remounted, goesReadOnly, unmounted, massive}},
		{name: onCard, shape: shape{fs: "ext4", opt: []string{"-q", "-b", "4096"}, inner: true}, small: true, own: true,
			moments: []moment{anytime, settled, innerAway}},
		{name: onDevice, shape: shape{fs: "ext4", opt: []string{"-q", "-b", "4096"}, mapped: true, mount: []string{"errors=remount-ro"}}, small: true, own: true,
			moments: []moment{spotted, flickering, lossy, failed, unlistable, dead}},
	}
}

// kinds are the catalogue, in the order of the table. What nobody can tell from the
// work of people and programs is not in it: a write that leaves contents valid, also
// when it sets the old mtime again; noise in place of noise, written normally; a
// mistake in a file that people write; a public key or a private one in place of
// another; a symlink that leads elsewhere; another owner, or permissions taken away.
// Nor is, outside service books and keys, a file or a small directory that is gone or
// has given way to something of another type.
func kinds() []kind {
	return slices.Concat(silentKinds(), sizeKinds(), formatKinds(), lossKinds(), massKinds(), circumstanceKinds(),
		subvolumeKinds(), fatKinds(), cardKinds(), deviceKinds())
}

// tried tells whether the kind is tried in the scene.
func (k kind) tried(sc scene) bool {
	return (k.scene == sc.name || k.scene == "" && !sc.own) && slices.Contains(sc.moments, k.when)
}

// wants tells whether the scene has any use for files of a format: for its kinds of
// harm, in the background, or in a directory at which something is mounted. A scene
// that shares its kinds with others has all.
func (sc scene) wants(format string) bool {
	return !sc.own || format == "diary" || format == inner ||
		slices.ContainsFunc(kinds(), func(k kind) bool { return k.tried(sc) && k.format == format })
}

// faults runs the catalogue of faults.
func faults(ctx context.Context, s settings) (outcome, error) {
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return outcome{}, fmt.Errorf("cannot make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	var all []*trial
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, sc := range scenes() {
		group.Go(func() error {
			trials, err := sc.play(ctx, s, filepath.Join(dir, sc.name))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, trials...)
			if err != nil {
				return fmt.Errorf("scene %s: %w", sc.name, err)
			}
			return nil
		})
	}
	err = group.Wait()
	return faultTable(s, all), err
}

// play does all the wanted faults of the scene.
func (sc scene) play(ctx context.Context, s settings, dir string) ([]*trial, error) {
	st := &stage{settings: s, name: sc.name}
	var mine []kind
	for _, k := range kinds() {
		if s.wants(k.name) && k.tried(sc) {
			mine = append(mine, k)
		}
	}
	if len(mine) == 0 {
		return nil, nil
	}
	err := st.raise(ctx, sc, dir)
	if errors.Is(err, errSkip) {
		return st.skip(mine, err), nil
	}
	if err != nil {
		return nil, err
	}
	for _, m := range sc.moments {
		if err == nil {
			err = st.perform(ctx, m, mine)
		}
	}
	return st.trials, errors.Join(err, st.rig.down())
}
