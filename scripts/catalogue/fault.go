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
	moments []moment
}

func scenes() []scene {
	return []scene{
		{"medium", shape{fs: "ext4", opt: []string{"-b", "4096"}}, false, []moment{anytime, settled, readOnly, outOfRange, down, stateLost, stateBad, stateFlipped, stateOld, noEnd}},
		{"roots", shape{}, true, []moment{massive}},
		{"mounts", shape{fs: "ext4", opt: []string{"-b", "4096", "-I", "128"}}, true, []moment{coarse, innerAway, unmounted, skeleton}},
		{"checksums", shape{fs: "btrfs"}, true, []moment{checksums}},
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
	return slices.Concat(silentKinds(), sizeKinds(), formatKinds(), lossKinds(), massKinds(), circumstanceKinds())
}

// elsewhere are kinds that need what this program does not have.
func elsewhere() []string {
	return []string{
		"read errors through dm-error, dm-flakey and dm-dust: need a kernel with the device mapper (a virtual machine); a medium without its end stands for them",
		"FAT's times of two seconds: need a kernel with vfat (a virtual machine); ext4 with times of one second stands for them",
	}
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
		if s.wants(k.name) && slices.Contains(sc.moments, k.when) {
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
