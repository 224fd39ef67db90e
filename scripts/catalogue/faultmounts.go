package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// flipUnderSum changes a bit of a file on a file system with check sums.
func flipUnderSum(_ context.Context, v *victim) error {
	if err := flush(v.path); err != nil {
		return err
	}
	data := v.data()
	at, err := v.rig.image.search(data[2*block : 2*block+64])
	if err != nil {
		return err
	}
	if err := v.rig.image.poke(at+100, []byte{data[2*block+100] ^ 8}); err != nil {
		return err
	}
	return forgotten(v.path, unreadable)
}

// whileUnmounted takes the roots' file system away. dirs are what the mount point
// holds.
func (st *stage) whileUnmounted(ctx context.Context, b *batch, dirs ...string) error {
	image := st.rig.image
	away := func() error {
		err := errors.Join(st.innerMounted(ctx, false), image.unmount(ctx))
		for _, d := range dirs {
			err = errors.Join(err, os.MkdirAll(filepath.Join(image.at, d), 0o755))
		}
		return err
	}
	return st.whileAway(ctx, b, away, func() error {
		return errors.Join(clearOut(image.at), image.mount(ctx), st.innerMounted(ctx, true))
	})
}

// innerMounted mounts or unmounts what is mounted in the roots, if anything is.
func (st *stage) innerMounted(ctx context.Context, mount bool) error {
	if _, err := os.Stat(filepath.Join(st.rig.dir, inner)); err != nil {
		return nil
	}
	return st.mountInner(ctx, mount)
}

// inner is the directory in each root at which something else is mounted.
const inner = "card"

// mountInner mounts a directory of the machine's own file system in each root, or a file
// system of its own, or unmounts it again.
func (st *stage) mountInner(ctx context.Context, mount bool) error {
	for _, c := range userdata.Classes() {
		from, at := filepath.Join(st.rig.dir, inner, string(c)), filepath.Join(st.rig.root(c), inner)
		if !mount {
			if err := unmount(ctx, at); err != nil {
				return err
			}
			continue
		}
		if st.rig.shape.inner {
			if err := st.rig.mountCard(ctx, c, at); err != nil {
				return err
			}
			continue
		}
		if err := errors.Join(os.MkdirAll(from, 0o755), os.MkdirAll(at, 0o755), clearOut(at)); err != nil {
			return err
		}
		if err := loud(exec.CommandContext(ctx, "mount", "--bind", from, at), "cannot mount"); err != nil {
			return err
		}
	}
	return nil
}

// mountCard mounts the FAT file system that is to lie in the root of a class.
func (r *rig) mountCard(ctx context.Context, c userdata.Class, at string) (err error) {
	if i := r.inner[c]; i != nil {
		return i.mount(ctx)
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	r.inner[c], err = newMedium(ctx, filepath.Join(r.dir, inner+"-"+string(c)+".img"), at, fatShape())
	if err != nil {
		delete(r.inner, c)
	}
	return err
}

// medium is the one that a file lies on.
func (v *victim) medium(path string) *medium {
	for _, i := range v.rig.inner {
		if strings.HasPrefix(path, i.at+"/") {
			return i
		}
	}
	return v.rig.image
}

// innerSubvolumes makes a subvolume in each root, in the same place.
func (st *stage) innerSubvolumes(ctx context.Context) error {
	for _, c := range userdata.Classes() {
		if err := newSubvolume(ctx, filepath.Join(st.rig.root(c), inner)); err != nil {
			return err
		}
	}
	return nil
}

func (st *stage) whileInnerUnmounted(ctx context.Context, b *batch) error {
	return st.whileAway(ctx, b,
		func() error { return st.mountInner(ctx, false) }, func() error { return st.mountInner(ctx, true) })
}

// innerTrial is about what is mounted in the root of a class.
func innerTrial(st *stage, k kind, i int) *trial {
	t := st.blank(k, i)
	t.v.path = filepath.Join(st.rig.root(t.class), inner)
	t.refuse(t.v.keep(t.v.path))
	return t
}

// whileAway takes files away and brings them back. They are unavailable meanwhile,
// nothing may be restored to where they are not, and all must be well in the end.
func (st *stage) whileAway(ctx context.Context, b *batch, away, back func() error) error {
	b.begin()
	if err := away(); err != nil {
		return err
	}
	for _, t := range b.trials {
		t.at = time.Now()
	}
	rep, err := st.rig.check(ctx, false)
	if err == nil {
		err = pause(ctx, quiet) // a restore would come now
	}
	if err != nil {
		return err
	}
	b.listen()
	for _, t := range b.trials {
		t.judgeAway(rep)
	}
	if err := back(); err != nil {
		return err
	}
	return st.backAgain(ctx, b)
}

// judgeAway looks at what a check says of all files of a trial, and whether there
// are any now.
func (t *trial) judgeAway(rep report) {
	if !t.open() || t.found {
		return // an event has called them damaged
	}
	is := make(map[string]finding)
	for _, f := range rep.Items {
		is[f.Path] = f
	}
	t.found = true
	for _, path := range t.v.files() {
		f, known := is[path]
		if !known {
			f.Verdict, f.Reason = "intact", "nothing is said of "+path
		}
		if t.verdict, t.reason = f.Verdict, f.Reason; t.verdict != "unavailable" {
			return
		}
		if _, err := os.Lstat(path); err == nil {
			t.failed = fmt.Errorf("%s was restored to where nothing is mounted", path)
			return
		}
	}
}

func clearOut(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// backAgain wants everything to be intact, without a restore.
func (st *stage) backAgain(ctx context.Context, b *batch) error {
	rep, err := st.rig.check(ctx, false)
	if err != nil {
		return err
	}
	for _, t := range b.trials {
		t.whole = t.open() && t.v.whole()
		for _, f := range rep.Items {
			if f.Class == string(t.class) {
				t.whole = false
				t.reason = fmt.Sprintf("back again, %s is %s: %s", f.Path, f.Verdict, f.Reason)
			}
		}
	}
	return nil
}
