package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// sector is the unit of the device mapper, in bytes.
const sector = 512

// mapper is a block device over an image that can be made to fail in parts: the
// kernel's device mapper.
type mapper struct {
	name  string
	loop  string // the device below
	minor string // its own number
	spots []spot
}

// spot is a part of the medium that is served by another target than the rest.
type spot struct {
	start, length int64  // in bytes, from the start of the medium
	target        string // in which %s is the device below and the sector there
}

// The targets. The flaky ones take the seconds in which all is well and the seconds
// in which it is not.
const (
	unreadableSpot = "error"
	wrongSpot      = "flakey %s 0 1 5 corrupt_bio_byte 33 r 1 0" // the 33rd byte of whatever is read is 1
	flakySpot      = "flakey %s 1 2 1 error_reads"
	lossySpot      = "flakey %s 0 1 1 drop_writes"
)

// newMapper makes one over an image, at first without a fault.
func newMapper(ctx context.Context, file string) (*mapper, error) {
	for _, p := range []string{"dmsetup", "losetup", "fsfreeze"} {
		if _, err := where(p); err != nil {
			return nil, fmt.Errorf("%w: %s is not installed", errSkip, p)
		}
	}
	if err := dmsetup(ctx, "targets"); err != nil {
		return nil, fmt.Errorf("%w: the kernel has no device mapper", errSkip)
	}
	out, err := exec.CommandContext(ctx, "losetup", "-f", "--show", file).Output()
	if err != nil {
		return nil, fmt.Errorf("%w: cannot make a loop device: %w", errSkip, err)
	}
	m := &mapper{name: fmt.Sprintf("catalogue-%d", os.Getpid()), loop: strings.TrimSpace(string(out))}
	table, err := m.table()
	if err == nil {
		err = dmsetup(ctx, "create", m.name, "--noudevrules", "--noudevsync", "--table", table)
	}
	if err != nil {
		return nil, errors.Join(err, loud(exec.CommandContext(ctx, "losetup", "-d", m.loop), "cannot give the loop device up"))
	}
	if out, err = exec.CommandContext(ctx, "dmsetup", "info", "-c", "--noheadings", "-o", "minor", m.name).Output(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot tell the number of the device: %w", err), m.close(ctx))
	}
	m.minor = strings.TrimSpace(string(out))
	return m, nil
}

func dmsetup(ctx context.Context, args ...string) error {
	return loud(exec.CommandContext(ctx, "dmsetup", args...), "dmsetup "+args[0])
}

// path is the device as the kernel names it: the names in /dev/mapper are udev's.
func (m *mapper) path() string { return "/dev/dm-" + m.minor }

// table is the whole medium, one line for each part.
func (m *mapper) table() (string, error) {
	var lines []string
	at := int64(0)
	add := func(end int64, target string) {
		if end > at {
			target = strings.ReplaceAll(target, "%s", fmt.Sprintf("%s %d", m.loop, at/sector))
			lines = append(lines, fmt.Sprintf("%d %d %s", at/sector, (end-at)/sector, target))
			at = end
		}
	}
	for _, s := range m.spots {
		if s.start < at {
			return "", errors.New("cannot put two faults in one place of the medium")
		}
		add(s.start, "linear %s")
		add(s.start+s.length, s.target)
	}
	add(imageSize, "linear %s")
	return strings.Join(lines, "\n"), nil
}

// load puts the faults in force. What is under way is not waited for: a medium does
// not ask before it fails.
func (m *mapper) load(ctx context.Context) error {
	table, err := m.table()
	if err != nil {
		return err
	}
	return errors.Join(dmsetup(ctx, "load", m.name, "--table", table),
		dmsetup(ctx, "resume", m.name, "--noflush", "--nolockfs", "--noudevrules", "--noudevsync"))
}

// die makes the whole medium unreadable and unwritable, as one that was pulled out.
func (m *mapper) die(ctx context.Context) error {
	m.spots = []spot{{0, imageSize, unreadableSpot}}
	return m.load(ctx)
}

func (m *mapper) close(ctx context.Context) error {
	return errors.Join(dmsetup(ctx, "remove", "--retry", "--noudevrules", "--noudevsync", m.name),
		loud(exec.CommandContext(ctx, "losetup", "-d", m.loop), "cannot give the loop device up"))
}

// spoil notes that another target is to serve the blocks in which a file or directory
// lies, once engage is called.
func (i *medium) spoil(path, target string) error {
	all, err := extents(path)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Flags&fiemapNotHere != 0 {
			return fmt.Errorf("cannot tell where %s lies on the medium", path)
		}
		i.mapper.spots = append(i.mapper.spots, spot{int64(e.Physical), int64(e.Length), target})
	}
	slices.SortFunc(i.mapper.spots, func(a, b spot) int { return cmp.Compare(a.start, b.start) })
	return nil
}

// engage puts all that was spoilt in force, and has the kernel forget what it has read.
func (i *medium) engage(ctx context.Context) error {
	return errors.Join(i.settleDown(ctx), i.mapper.load(ctx), forgetAll())
}

// disengage takes all faults away.
func (i *medium) disengage(ctx context.Context) error {
	i.mapper.spots = nil
	return errors.Join(i.mapper.load(ctx), forgetAll())
}

// settleDown writes out all that the file system has to write, its journal too.
func (i *medium) settleDown(ctx context.Context) error {
	err := loud(exec.CommandContext(ctx, "fsfreeze", "-f", i.at), "cannot freeze the file system")
	if err != nil {
		return err
	}
	return loud(exec.CommandContext(ctx, "fsfreeze", "-u", i.at), "cannot thaw the file system")
}

// forgetAll has the kernel forget what it has read of any medium and need not keep.
func forgetAll() error { return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0) }
