package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// block is the size of a block of the file systems in the images.
const block = 4096

// extent is a run of a file's bytes on the medium: struct fiemap_extent.
type extent struct {
	Logical, Physical, Length uint64
	_                         [2]uint64
	Flags                     uint32
	_                         [3]uint32
}

// The parts of linux/fiemap.h that are used here.
const (
	fiemapIoctl   = 0xc020660b
	fiemapSync    = 1
	fiemapNotHere = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 // unknown, delayed, encoded, encrypted, not aligned, inline
	maxExtents    = 512
)

// extents tells where on the medium a file lies.
func extents(path string) ([]extent, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var ask struct {
		Start, Length               uint64
		Flags, Mapped, Count, spare uint32
		Extents                     [maxExtents]extent
	}
	ask.Length, ask.Flags, ask.Count = ^uint64(0), fiemapSync, maxExtents
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fiemapIoctl, uintptr(unsafe.Pointer(&ask)))
	if errno != 0 {
		return nil, fmt.Errorf("cannot find out where %s lies: %w", path, errno)
	}
	return append([]extent(nil), ask.Extents[:ask.Mapped]...), nil
}

// locate tells where on the medium a byte of a file lies.
func locate(path string, off uint64) (int64, error) {
	all, err := extents(path)
	if err != nil {
		return 0, err
	}
	for _, e := range all {
		if e.Logical <= off && off < e.Logical+e.Length && e.Flags&fiemapNotHere == 0 {
			return int64(e.Physical + off - e.Logical), nil
		}
	}
	return 0, fmt.Errorf("cannot find byte %d of %s on the medium", off, path)
}

// overwrite changes bytes of a file on the medium, under the file system, and
// has the kernel forget what it has of the file. data must not cross the end
// of a block.
func (i *medium) overwrite(path string, off int64, data []byte) error {
	if err := flush(path); err != nil {
		return err
	}
	at, err := locate(path, uint64(off))
	if errors.Is(err, unix.EOPNOTSUPP) {
		at, err = i.find(path, off) // FAT does not say
	}
	if err != nil {
		return err
	}
	return errors.Join(i.poke(at, data), flush(path))
}

// find finds a block of a file by what it holds.
func (i *medium) find(path string, off int64) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return i.search(data[off:min(off+block, int64(len(data)))])
}

// poke writes to the medium.
func (i *medium) poke(at int64, data []byte) error {
	f, err := os.OpenFile(i.file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, at)
	return errors.Join(err, f.Close())
}

// flush writes a file out and drops it from the page cache.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
}

// silently changes the blocks of a file that differ between the contents before
// and after, which are as long, under the file system.
func (v *victim) silently(path string, before, after []byte) error {
	if len(before) != len(after) {
		return fmt.Errorf("cannot change the size of %s under the file system", path)
	}
	for at := 0; at < len(before); at += block {
		end := min(at+block, len(before))
		if bytes.Equal(before[at:end], after[at:end]) {
			continue
		}
		if err := v.medium(path).overwrite(path, int64(at), after[at:end]); err != nil {
			return err
		}
	}
	return forgotten(path, func(is []byte, err error) bool { return err == nil && bytes.Equal(is, after) })
}

// forgotten has the kernel forget what it has of a file until it reads as it is
// now on the medium: pages that are just in use stay.
func forgotten(path string, now func([]byte, error) bool) error {
	for range 40 {
		if err := flush(path); err != nil {
			return err
		}
		if now(os.ReadFile(path)) {
			return nil
		}
		time.Sleep(tick)
	}
	return fmt.Errorf("cannot have the kernel forget %s: it reads as before", path)
}

// unreadable is for what no longer can be read.
func unreadable(_ []byte, err error) bool { return err != nil }

// search finds bytes on the medium, for file systems that do not say where a
// file lies.
func (i *medium) search(what []byte) (int64, error) {
	f, err := os.Open(i.file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for at, r := int64(0), bufio.NewReaderSize(f, 1<<20); ; at += sector { // what is sought begins a sector
		is, err := r.Peek(len(what))
		if err != nil {
			return 0, fmt.Errorf("cannot find the contents on the medium: %w", err)
		}
		if bytes.Equal(is, what) {
			return at, nil
		}
		if _, err := r.Discard(sector); err != nil {
			return 0, err
		}
	}
}
