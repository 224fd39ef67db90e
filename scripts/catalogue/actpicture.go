package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pkg/xattr"
)

// portrait is what lies below a directory: what is known about each file, by name.
// Sockets and pipes are left out, as they are of a backup.
type portrait map[string]string

// portray takes the portrait of some directories; one may be missing.
func portray(dirs ...string) (portrait, error) {
	p := make(portrait)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil && errors.Is(err, fs.ErrNotExist) && name == dir {
				return nil
			}
			if err != nil {
				return err
			}
			line, err := describe(name)
			if err == nil && line != "" {
				p[name] = line
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot see what is there: %w", err)
		}
	}
	return p, nil
}

// describe gives type, mode, owner, time and contents of a file in a line.
func describe(name string) (string, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return "", err
	}
	if info.Mode()&(fs.ModeSocket|fs.ModeNamedPipe) != 0 {
		return "", nil
	}
	st := info.Sys().(*syscall.Stat_t)
	line := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
	switch {
	case info.Mode().IsRegular():
		raw, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" %d bytes of %d.%09d %x", len(raw), st.Mtim.Sec, st.Mtim.Nsec, sha256.Sum256(raw))
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(name)
		if err != nil {
			return "", err
		}
		line += " to " + to
	}
	return line + attributes(name), nil
}

// attributes lists the extended attributes; a file system may have none.
func attributes(name string) string {
	names, err := xattr.LList(name)
	if err != nil {
		return ""
	}
	slices.Sort(names)
	var b strings.Builder
	for _, n := range names {
		value, _ := xattr.LGet(name, n)
		fmt.Fprintf(&b, " %s=%x", n, value)
	}
	return b.String()
}

// differences says what is not as it was in another portrait.
func (p portrait) differences(was portrait, below string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(was)) {
		rel, _ := filepath.Rel(below, name)
		switch now, there := p[name]; {
		case !there:
			all = append(all, rel+" is gone")
		case now != was[name]:
			all = append(all, fmt.Sprintf("%s was %s, is %s", rel, brief(was[name]), brief(now)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if _, there := was[name]; !there {
			rel, _ := filepath.Rel(below, name)
			all = append(all, rel+" is back")
		}
	}
	return all
}

// brief shortens the digest in a line.
func brief(line string) string {
	words := strings.Fields(line)
	for i, w := range words {
		if len(w) == 64 {
			words[i] = w[:8]
		}
	}
	return strings.Join(words, " ")
}
