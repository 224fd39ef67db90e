package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// moveExtIoctl is EXT4_IOC_MOVE_EXT of the kernel's fs/ext4/ext4.h.
const moveExtIoctl = 0xc028660f

// brink is files at the very end of the medium, so that they cannot be read when
// its end is missing.
type brink struct {
	paths []string
	start int64 // of the first of their blocks on the medium
}

// brinkBlocks is the length of each of them in blocks.
const brinkBlocks = 4

// writeAtBrink writes files and moves what they hold to the last blocks of the
// medium.
func (i *medium) writeAtBrink(paths []string, data [][]byte) (*brink, error) {
	filler, err := os.Create(filepath.Join(i.at, "filler"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(filler.Name())
	defer filler.Close()
	last, err := takeAll(filler)
	if err != nil {
		return nil, fmt.Errorf("cannot fill the medium up: %w", err)
	}
	const size = brinkBlocks * block
	b := &brink{paths: paths, start: int64(last.Physical + last.Length)}
	for n, path := range paths {
		if err := os.WriteFile(path, data[n], 0o644); err != nil {
			return nil, err
		}
		b.start -= size
		if err := moveTo(path, filler, last.Logical+last.Length-uint64((n+1)*size)); err != nil {
			return nil, err
		}
		if at, err := locate(path, 0); err != nil || at != b.start {
			return nil, fmt.Errorf("cannot move %s to the end of the medium: it lies at %d, not %d (%w)", path, at, b.start, err)
		}
	}
	return b, nil
}

// takeAll gives a new file the blocks that are free, but for a little to write the
// others with, and returns the last run of them on the medium.
func takeAll(f *os.File) (last extent, err error) {
	taken := int64(0)
	for step := int64(16 << 20); step >= 1<<20; {
		if err := unix.Fallocate(int(f.Fd()), 0, taken, step); err != nil {
			step /= 2
			continue
		}
		taken += step
	}
	if err := unix.Ftruncate(int(f.Fd()), taken-1<<20); err != nil {
		return last, err
	}
	all, err := extents(f.Name())
	for _, e := range all {
		if e.Physical >= last.Physical {
			last = e
		}
	}
	if err == nil && last.Length < 1<<20 {
		err = fmt.Errorf("the last free part of the medium is too small: %d bytes", last.Length)
	}
	return last, err
}

// moveTo moves the contents of a file to the blocks of another one from an offset
// on: ioctl EXT4_IOC_MOVE_EXT, as e4defrag does.
func moveTo(path string, donor *os.File, off uint64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	ask := struct {
		_, Donor                     uint32
		From, To, Blocks, MovedSoFar uint64
	}{Donor: uint32(donor.Fd()), To: off / block, Blocks: brinkBlocks}
	if err := f.Sync(); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), moveExtIoctl, uintptr(unsafe.Pointer(&ask)))
	if errno != 0 || ask.MovedSoFar != brinkBlocks {
		return fmt.Errorf("cannot move the contents of %s on the medium: %d of %d blocks: %w", path, ask.MovedSoFar, brinkBlocks, errno)
	}
	return flush(path)
}

// cut takes the end of the medium away, with the files on it; mend gives the
// medium its size again.
func (i *medium) cut(b *brink) error {
	if err := os.Truncate(i.file, b.start); err != nil {
		return err
	}
	for _, p := range b.paths {
		if err := forgotten(p, unreadable); err != nil {
			return err
		}
	}
	return nil
}

func (i *medium) mend() error { return os.Truncate(i.file, imageSize) }

// whileEndIsMissing makes the end of the medium unreadable, where the stage has put
// a file of each class.
func (st *stage) whileEndIsMissing(ctx context.Context, b *batch) error {
	if st.brink == nil {
		return b.try(ctx) // they are skipped
	}
	if err := st.rig.image.cut(st.brink); err != nil {
		return err
	}
	err := b.try(ctx)
	return errors.Join(err, st.rig.image.mend())
}

// brinkTrial is about the file of a class that lies at the end of the medium.
func brinkTrial(st *stage, k kind, i int) *trial {
	t := st.blank(k, i)
	if st.brink == nil {
		t.refuse(fmt.Errorf("%w: needs a file system in an image", errSkip))
		return t
	}
	t.v.path = st.brink.paths[i]
	t.refuse(t.v.keep(t.v.path))
	return t
}

// putAtBrink writes those files, before all others.
func (st *stage) putAtBrink() error {
	var paths []string
	var contents [][]byte
	for i, c := range userdata.Classes() {
		paths = append(paths, filepath.Join(st.rig.root(c), "last.txt"))
		contents = append(contents, prose(st.blank(kind{}, i).v.rnd, brinkBlocks*block)[:brinkBlocks*block-10])
	}
	var err error
	st.brink, err = st.rig.image.writeAtBrink(paths, contents)
	return err
}
