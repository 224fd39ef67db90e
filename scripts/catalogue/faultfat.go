package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The scenes on other file systems than ext4.
const (
	onFAT        = "FAT"
	onCard       = "FAT inside ext4"
	onSubvolumes = "subvolumes"
)

// subvolumeInode is the number of the top directory of every subvolume of btrfs.
const subvolumeInode = 256

// fatShape is a FAT file system with clusters as large as the blocks of the others.
func fatShape() shape { return shape{fs: "vfat", opt: []string{"-F", "16", "-s", "8"}} }

// at makes a kind one of another scene.
func (k kind) at(scene string, when moment, name string) kind {
	k.scene, k.when, k.name = scene, when, scene+": "+name
	return k
}

// fatKinds are harm on a file system with times of two seconds, without a change
// time, modes and stable inodes. That the bytes of a file are others, though nobody
// seems to have written them, leaves it open who did it.
func fatKinds() []kind {
	bit, zeroed, lossOf := silentKinds()[0], silentKinds()[5], lossKinds()
	bit.want, bit.left = []string{"unavailable"}, true
	away := kind{on: everywhere(), want: []string{"unavailable"}, root: true}
	return []kind{
		lossOf[0].at(onFAT, anytime, "file deleted"),
		lossOf[1].at(onFAT, anytime, "directory deleted with all in it"),
		sizeKinds()[0].at(onFAT, anytime, "cut to zero"),
		sizeKinds()[1].at(onFAT, anytime, "cut at a cluster boundary"),
		sizeKinds()[2].at(onFAT, anytime, "all NUL"),
		formatKinds()[0].at(onFAT, anytime, "JSON cut"),
		bit.at(onFAT, settled, "silent: one bit"),
		zeroed.at(onFAT, settled, "silent: block zeroed"),
		bit.at(onFAT, remounted, "silent: one bit, mounted again since"),
		lossOf[0].at(onFAT, goesReadOnly, "goes read-only: file deleted"),
		away.at(onFAT, unmounted, "not mounted, mount point empty"),
		massKinds()[0].at(onFAT, massive, "root emptied"),
	}
}

// cardKinds are harm on a FAT file system that is mounted in a root on ext4, and beside it:
// what the times of a file are evidence of goes by the file system that it lies on.
func cardKinds() []kind {
	bit, beside := silentKinds()[0], silentKinds()[0]
	bit.want, bit.left = []string{"unavailable"}, true
	gone, cut, nul := lossKinds()[0], sizeKinds()[0], sizeKinds()[2]
	away := kind{on: everywhere(), want: []string{"unavailable"}, root: true}
	bit.format, gone.format, cut.format, nul.format = inner, inner, inner, inner
	return []kind{
		gone.at(onCard, anytime, "file deleted"),
		cut.at(onCard, anytime, "cut to zero"),
		nul.at(onCard, anytime, "all NUL"),
		bit.at(onCard, settled, "silent: one bit"),
		beside.at(onCard, settled, "silent: one bit of a file beside it"),
		away.at(onCard, innerAway, "not mounted"),
	}
}

// subvolumeKinds are harm where each root is a subvolume of btrfs, which the kernel
// shows as a device of its own.
func subvolumeKinds() []kind {
	lossOf := lossKinds()
	sum := kind{format: "binary", on: everywhere(), want: corrupted(), root: true, deep: true, inject: flipUnderSum}
	dropped := kind{want: erased(), root: true, inject: func(ctx context.Context, v *victim) error { return dropSubvolume(ctx, v.path) }}
	within, whole := dropped, dropped
	within.on, whole.on = critical(), everywhere()
	return []kind{
		lossOf[0].at(onSubvolumes, anytime, "file deleted"),
		lossOf[1].at(onSubvolumes, anytime, "directory deleted with all in it"),
		sizeKinds()[2].at(onSubvolumes, anytime, "all NUL"),
		sum.at(onSubvolumes, settled, "block flipped, found by its check sum (EIO)"),
		lossOf[0].at(onSubvolumes, goesReadOnly, "goes read-only: file deleted"),
		within.at(onSubvolumes, innerGone, "subvolume in a root deleted"),
		whole.at(onSubvolumes, massive, "subvolume deleted, and the root with it"),
	}
}

// dropSubvolume deletes a subvolume, and the one that may lie in it.
func dropSubvolume(ctx context.Context, path string) error {
	var st unix.Stat_t
	if within := filepath.Join(path, inner); unix.Lstat(within, &st) == nil && st.Ino == subvolumeInode {
		if err := dropSubvolume(ctx, within); err != nil {
			return err
		}
	}
	return loud(exec.CommandContext(ctx, "btrfs", "subvolume", "delete", path), "cannot delete the subvolume")
}

// whileGoingReadOnly mounts the file system read-only right after the harm, so that
// nothing can be mended until it is writable again.
func (st *stage) whileGoingReadOnly(ctx context.Context, b *batch) error {
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	if err := st.rig.image.mount(ctx, "remount", "ro"); err != nil {
		return err
	}
	for range 2 {
		if err := errors.Join(b.ask(ctx), pause(ctx, quiet)); err != nil {
			return err
		}
	}
	b.listen()
	if err := st.rig.image.mount(ctx, "remount", "rw"); err != nil {
		return err
	}
	b.asked = 0
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}
