package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLegitimateActs does all of the catalogue and wants nothing undone.
func TestLegitimateActs(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons and takes minutes")
	}
	done, err := withPrograms(t.Context(), settings{logf: t.Logf}, acts)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := done.write(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
	for _, m := range done.misses {
		t.Error(m)
	}
}

func TestThereAreManyActs(t *testing.T) {
	perClass := make(map[string]int)
	names := make(map[string]bool)
	for _, a := range legitimateActs() {
		if names[a.name] {
			t.Errorf("%q is there twice", a.name)
		}
		names[a.name] = true
		classes := a.classes
		if classes == nil {
			classes = allClasses()
		}
		for _, c := range classes {
			if !slices.Contains(allClasses(), c) {
				t.Errorf("%q names the class %q", a.name, c)
			}
			perClass[c]++
		}
		if (a.do == "") == (a.apply == nil) {
			t.Errorf("%q has to have a script or a function, and not both", a.name)
		}
	}
	for _, c := range allClasses() {
		if perClass[c] < 60 {
			t.Errorf("only %d acts in %s", perClass[c], c)
		}
	}
}

func TestSeedsAreUnique(t *testing.T) {
	seen := make(map[string]string)
	for i, a := range legitimateActs() {
		if a.mass {
			continue
		}
		dir := filepath.Join(t.TempDir(), "x")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := seed(a, allClasses()[i%4], dir); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil || filepath.Ext(f) == ".img" {
				continue // a directory; a blank disk
			}
			if other, there := seen[string(raw)]; there {
				t.Errorf("%s and %s are the same", f, other)
			}
			seen[string(raw)] = f
			if filepath.Ext(f) == ".json" && !json.Valid(raw) {
				t.Errorf("%s is not valid", f)
			}
		}
	}
}

func TestPortraitsDiffer(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	take := func() portrait {
		t.Helper()
		p, err := portray(dir, filepath.Join(dir, "none"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("a", "one")
	write("b", "one")
	was := take()
	if got := take().differences(was, dir); len(got) != 0 {
		t.Errorf("nothing was done, and yet: %q", got)
	}
	write("a", "two")
	write("c", "new")
	if err := os.Remove(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	got := take().differences(was, dir)
	if len(got) != 3 || !strings.HasPrefix(got[0], "a was ") || got[1] != "b is gone" || got[2] != "c is back" {
		t.Errorf("got %q", got)
	}
}

// TestScriptsSayWhyTheySkip runs a script of a deed without a sandbox.
func TestScriptsSayWhyTheySkip(t *testing.T) {
	d := &deed{act: act{do: `skip "no moon"`}, class: data, rig: &rig{dir: t.TempDir()}, dir: t.TempDir(), temp: filepath.Join(t.TempDir(), "t")}
	d.do(context.Background())
	if d.skipped == nil || !strings.HasSuffix(d.skipped.Error(), "no moon") || d.failed != nil {
		t.Errorf("skipped %v, failed %v", d.skipped, d.failed)
	}
	d = &deed{act: act{do: `echo oh >&2; false`}, class: data, rig: d.rig, dir: d.dir, temp: d.temp}
	d.do(context.Background())
	if d.failed == nil || !strings.HasSuffix(d.failed.Error(), "oh") {
		t.Errorf("failed %v", d.failed)
	}
}
