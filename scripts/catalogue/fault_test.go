package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	t.Parallel()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("dbus-daemon is not installed")
	}
	if os.Geteuid() != 0 {
		t.Log("not root: what needs a file system in an image is left out")
	}
	ctx := t.Context()
	if end, bound := t.Deadline(); bound { // the table is worth more than a panic
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-30*time.Second))
		defer cancel()
	}
	out, err := withPrograms(ctx, settings{logf: t.Logf}, faults)
	if werr := out.write(os.Stdout); werr != nil || err != nil {
		t.Fatal(errors.Join(err, werr))
	}
	if len(out.misses) > 0 {
		t.Errorf("%d faults were not found, not called by their name or not mended", len(out.misses))
	}
	if n := len(out.table.rows); n < 40 {
		t.Errorf("the catalogue has %d kinds", n)
	}
}

// Every kind has a name of its own, is tried in some class, and its files suffice.
func TestKindsOfFault(t *testing.T) {
	need := make(map[string]int)
	names := make(map[string]bool)
	for _, k := range kinds() {
		if names[k.name] || k.name == "" || len(k.on) == 0 || len(k.want) == 0 || k.inject == nil && k.want[0] != "unavailable" {
			t.Errorf("%q is no good entry", k.name)
		}
		names[k.name] = true
		if k.when != massive {
			need[k.scene+"/"+k.format]++
		}
	}
	need["/long"]++ // exchange takes two
	for key, n := range need {
		scene, format, _ := strings.Cut(key, "/")
		has := stock(format)
		if scene != "" {
			has = min(has, few)
		}
		if format != "" && has < n {
			t.Errorf("there are %d files of the format %s for %d kinds of the scene %q", has, format, n, scene)
		}
	}
	for _, sc := range scenes() {
		for _, m := range sc.moments {
			n := 0
			for _, k := range kinds() {
				if k.when == m && k.tried(sc) {
					n++
				}
			}
			if n == 0 {
				t.Errorf("nothing happens in the scene %s at moment %d", sc.name, m)
			}
		}
	}
}

// What is done to a file shows, and can be undone.
func TestVictims(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, f := range formats() {
		c := newCorpus(&rig{dir: t.TempDir()})
		if err := c.add(rnd, "keys", f, 1); err != nil {
			t.Fatal(err)
		}
		v := &victim{rig: c.rig, path: c.left["keys/"+f.name][0]}
		if err := v.keep(parent(v.path)); err != nil {
			t.Fatal(err)
		}
		if !v.whole() {
			t.Errorf("%s is not as it is", v.path)
		}
		if err := v.write([]byte("other")); err != nil || v.whole() {
			t.Errorf("%s was changed, and seems whole (%v)", v.path, err)
		}
		if err := errors.Join(os.RemoveAll(parent(v.path)), v.heal()); err != nil || !v.whole() {
			t.Errorf("%s was healed, and is not whole (%v)", v.path, err)
		}
	}
}

// Every way to harm contents changes each of the files that it may get.
func TestHarmIsDone(t *testing.T) {
	for _, k := range slices.Concat(sizeKinds(), formatKinds()) {
		for _, f := range formats() {
			if f.name == k.format {
				testHarm(t, k, f)
			}
		}
	}
}

func testHarm(t *testing.T, k kind, f format) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	c := newCorpus(&rig{dir: t.TempDir()})
	if err := c.add(rnd, "keys", f, few); err != nil {
		t.Fatal(err)
	}
	for range few {
		one := &trial{kind: k, class: "keys", v: &victim{rig: c.rig, stock: c, class: "keys", rnd: rnd}}
		one.pick()
		one.harm(t.Context())
		if one.failed != nil || one.v.whole() {
			t.Errorf("%s: nothing has changed (%v)", k.name, one.failed)
		}
	}
}

// A silent change shows in what is read and in nothing that lstat says.
func TestSilently(t *testing.T) {
	dir := t.TempDir()
	i, err := newMedium(t.Context(), filepath.Join(dir, "img"), t.TempDir(), shape{fs: "ext4", opt: []string{"-q", "-b", "4096"}})
	if errors.Is(err, errSkip) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.close(); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(i.at, "file")
	before := prose(rand.New(rand.NewPCG(1, 2)), 20_000)
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	was := lstat(t, path)
	after := bytes.Clone(before)
	after[5000] ^= 1
	v := &victim{rig: &rig{image: i}}
	if err := v.silently(path, before, after); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, after) {
		t.Errorf("the file does not read as it was changed (%v)", err)
	}
	if is := lstat(t, path); is != was {
		t.Errorf("lstat says %v, said %v", is, was)
	}
}

func lstat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	st.Atim = unix.Timespec{}
	return st
}

// The files at the end of a medium, and only those, cannot be read without it.
func TestBrink(t *testing.T) {
	i, err := newMedium(t.Context(), filepath.Join(t.TempDir(), "img"), t.TempDir(), shape{fs: "ext4", opt: []string{"-q", "-b", "4096"}})
	if errors.Is(err, errSkip) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.close(); err != nil {
			t.Error(err)
		}
	})
	data := bytes.Repeat([]byte("lamp"), block)
	b, err := i.writeAtBrink([]string{filepath.Join(i.at, "a"), filepath.Join(i.at, "b")}, [][]byte{data, data})
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(i.at, "other")
	if err := errors.Join(os.WriteFile(other, data, 0o600), flush(other), i.cut(b), flush(other)); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(other); err != nil || !bytes.Equal(is, data) {
		t.Errorf("another file cannot be read: %v", err)
	}
	for _, p := range b.paths {
		if _, err := os.ReadFile(p); !errors.Is(err, unix.EIO) {
			t.Errorf("%s: got %v, want a read error", p, err)
		}
	}
	if err := i.mend(); err != nil {
		t.Fatal(err)
	}
}
