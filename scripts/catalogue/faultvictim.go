package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// victim is a file or directory that a fault is done to.
type victim struct {
	rig   *rig
	stock *corpus
	class userdata.Class
	path  string  // what the verdict is asked of
	kept  []saved // how everything was that the fault harms, from above to below
	left  []string
	rnd   *rand.Rand
}

// saved is how an item was before.
type saved struct {
	path   string
	mode   fs.FileMode
	mtime  time.Time
	data   []byte
	target string
}

func look(path string) (saved, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return saved{}, err
	}
	s := saved{path: path, mode: st.Mode()}
	switch {
	case st.Mode().IsRegular():
		s.mtime = st.ModTime()
		s.data, err = os.ReadFile(path)
	case st.Mode().Type() == fs.ModeSymlink:
		s.target, err = os.Readlink(path)
	}
	return s, err
}

// same tells whether the item is as it was, every byte.
func (s saved) same() bool {
	is, err := look(s.path)
	return err == nil && is.mode == s.mode && is.mtime.Equal(s.mtime) && bytes.Equal(is.data, s.data) && is.target == s.target
}

// put makes the item as it was.
func (s saved) put() error {
	if s.same() {
		return nil
	}
	if is, err := os.Lstat(s.path); err == nil && (is.Mode().Type() != s.mode.Type() || !is.IsDir()) {
		if err := os.RemoveAll(s.path); err != nil {
			return err
		}
	}
	switch {
	case s.mode.IsDir():
		if err := os.MkdirAll(s.path, s.mode.Perm()); err != nil {
			return err
		}
		return os.Chmod(s.path, s.mode.Perm())
	case s.mode.Type() == fs.ModeSymlink:
		return os.Symlink(s.target, s.path)
	}
	return errors.Join(os.WriteFile(s.path, s.data, 0o600), os.Chmod(s.path, s.mode.Perm()), os.Chtimes(s.path, s.mtime, s.mtime))
}

// keep remembers how a path and all below it is; the fault harms it.
func (v *victim) keep(path string) error {
	return filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s, err := look(p)
		if err == nil {
			v.kept = append(v.kept, s)
		}
		return err
	})
}

// another takes one more file of the format, which the fault harms as well.
func (v *victim) another(format string) (string, error) {
	path, err := v.stock.take(v.class, format)
	if err == nil {
		err = v.keep(path)
	}
	return path, err
}

// whole tells whether everything is as it was.
func (v *victim) whole() bool {
	for _, s := range v.kept {
		if !s.same() {
			return false
		}
	}
	return true
}

// differs says what is not as it was.
func (v *victim) differs() string {
	var all []string
	for _, s := range v.kept {
		is, err := look(s.path)
		if err != nil {
			all = append(all, err.Error())
		} else if !s.same() {
			all = append(all, fmt.Sprintf("%s: %v %v, %d bytes, the same %v, and was %v %v", s.path, is.mode, is.mtime, len(is.data),
				bytes.Equal(is.data, s.data), s.mode, s.mtime))
		}
	}
	return strings.Join(all, "; ")
}

// heal makes everything as it was, where the daemon did not.
func (v *victim) heal() error {
	var errs []error
	for _, l := range v.left {
		errs = append(errs, os.RemoveAll(l))
	}
	for _, s := range v.kept {
		errs = append(errs, s.put())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot put back what the fault harmed: %w", err)
	}
	return nil
}

// data is what the file held.
func (v *victim) data() []byte { return v.kept[0].data }

// write puts contents into the file as a program does that opens it with
// O_TRUNC: the inode stays, the times move.
func (v *victim) write(data []byte) error { return os.WriteFile(v.path, data, 0o600) }

// replace puts another file in its place, as a program does that writes a new one
// and renames it.
func (v *victim) replace(data []byte) error {
	tmp := v.path + ".new"
	if err := os.WriteFile(tmp, data, v.kept[0].mode.Perm()); err != nil {
		return err
	}
	return os.Rename(tmp, v.path)
}

// instead removes what lies at the path and has something made there.
func (v *victim) instead(make func(path string) error) error {
	if err := os.RemoveAll(v.path); err != nil {
		return err
	}
	return make(v.path)
}
