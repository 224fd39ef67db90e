package watch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOtherDirectoriesArePassedOver: the first event in a directory outside of the
// roots is told, and no other, until the directory is moved into a root.
func TestOtherDirectoriesArePassedOver(t *testing.T) {
	f := openProbe(t)
	dir := t.TempDir()
	root, other := filepath.Join(dir, "root"), filepath.Join(dir, "other")
	for _, d := range []string{root, filepath.Join(other, "sub")} {
		try(t, os.MkdirAll(d, 0o755))
	}
	if err := f.add("root", root, nil); err != nil {
		t.Skip(err)
	}
	if !f.ignores(other) {
		t.Skip("the kernel cannot be told to pass over a directory")
	}
	f.forget()
	written := []string{filepath.Join(other, "file"), filepath.Join(other, "sub", "deep"), filepath.Join(dir, "above")}
	for _, p := range written {
		try(t, os.WriteFile(p, nil, 0o600))
	}
	if got := f.told(t, dir); len(got) != 1 || got[0] != written[2] {
		t.Errorf("told of %q, want only what lies on the way to the root", got)
	}
	for _, p := range written[:2] {
		try(t, os.WriteFile(p, []byte("more"), 0o600))
		try(t, os.Remove(p))
	}
	if raw := f.raw(t); slices.ContainsFunc(raw, func(e fanEvent) bool { return e.name == "file" || e.name == "deep" }) {
		t.Errorf("the kernel still tells of other directories: %+v", raw)
	}

	moved := filepath.Join(root, "moved")
	try(t, os.Rename(other, moved))
	if got := f.told(t, dir); !slices.Contains(got, moved) {
		t.Errorf("told of %q, want the directory that came in", got)
	}
	inside := []string{filepath.Join(moved, "file"), filepath.Join(moved, "sub", "deep")}
	for _, p := range inside {
		try(t, os.WriteFile(p, nil, 0o600))
	}
	if got := f.told(t, dir); !slices.Contains(got, inside[0]) || !slices.Contains(got, inside[1]) {
		t.Errorf("told of %q, want %q", got, inside)
	}
}

// TestPassedOverUntilItIsARoot: a directory that was passed over is watched when it
// becomes a root.
func TestPassedOverUntilItIsARoot(t *testing.T) {
	f := openProbe(t)
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	try(t, os.Mkdir(first, 0o755))
	try(t, os.Mkdir(second, 0o755))
	if err := f.add("first", first, nil); err != nil {
		t.Skip(err)
	}
	p := filepath.Join(second, "file")
	try(t, os.WriteFile(p, nil, 0o600))
	if got := f.told(t, dir); len(got) != 0 {
		t.Errorf("told of %q", got)
	}
	try(t, f.add("second", second, nil))
	try(t, os.WriteFile(p, []byte("more"), 0o600))
	if got := f.told(t, dir); !slices.Contains(got, p) {
		t.Errorf("told of %q, want %q", got, p)
	}
}

func openProbe(t *testing.T) *fan {
	t.Helper()
	f, err := openFan()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(f.close)
	return f
}

// ignores tells whether the kernel takes the mark.
func (f *fan) ignores(dir string) bool {
	return unix.FanotifyMark(f.fd, fanIgnore, fanMask|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, dir) == nil
}

// told is what happened lately below a directory, on the way to the roots and in them:
// above it other programs are at work.
func (f *fan) told(t *testing.T, below string) []string {
	t.Helper()
	time.Sleep(20 * time.Millisecond)
	happened, lost, err := f.read()
	if lost {
		t.Error("events are lost")
	}
	try(t, err)
	var paths []string
	for _, h := range happened {
		if within(h.path, below) {
			paths = append(paths, h.path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// raw is what the kernel tells.
func (f *fan) raw(t *testing.T) []fanEvent {
	t.Helper()
	events, err := drain(f.fd, f.buf, parseFanotify)
	try(t, err)
	return events
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
