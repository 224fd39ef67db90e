package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Sizes by which the files that are changed are known, and what is changed in them.
const (
	smallText  = 12 << 10
	largeText  = 10 << 20
	editBytes  = 1 << 10
	frontBytes = 4 << 10
)

// classDirs are the directories of a tree, by the names that it may have there.
func classDirs() map[string][]string {
	return map[string][]string{
		"service-books": {"service-books", "tiny/services"}, "keys": {"keys", "tiny/keys"},
		"preferences": {"preferences", "prefs"}, "user-data": {"user-data", "user"},
	}
}

// pick tells whether a file of a class is copied.
type pick func(class string, size int64) bool

func everything(string, int64) bool { return true }

func criticalOnly(class string, _ int64) bool { return class == "service-books" || class == "keys" }

// upTo picks files of the user's until they make up so many bytes.
func upTo(most int64) pick {
	return func(class string, size int64) bool {
		if class != "user-data" || size > most || size == 0 {
			return false
		}
		most -= size
		return true
	}
}

// copyTree copies what is picked of a tree into the directories of the classes.
func copyTree(tree, to string, wanted pick) error {
	for class, names := range classDirs() {
		for _, name := range names {
			from := filepath.Join(tree, name)
			if _, err := os.Stat(from); err != nil {
				continue
			}
			if err := copyClass(from, filepath.Join(to, class), class, wanted); err != nil {
				return fmt.Errorf("cannot copy the tree: %w", err)
			}
		}
	}
	return nil
}

func copyClass(from, to, class string, wanted pick) error {
	return filepath.WalkDir(from, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil || !wanted(class, info.Size()) {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		out := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(out, raw, info.Mode().Perm()); err != nil {
			return err
		}
		return os.Chtimes(out, info.ModTime(), info.ModTime())
	})
}

// find returns the first file of the user's that is wanted.
func find(dir string, wanted func(p string, size int64) bool) (string, error) {
	var found string
	err := filepath.WalkDir(filepath.Join(dir, "user-data"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && wanted(p, info.Size()) {
			found = p
			return fs.SkipAll
		}
		return err
	})
	if err == nil && found == "" {
		err = fmt.Errorf("%w: the tree has no such file", errSkip)
	}
	return found, err
}

// textOf finds the text of that size.
func textOf(dir string, size int64) (string, []byte, error) {
	p, err := find(dir, func(p string, n int64) bool { return n == size && strings.HasSuffix(p, ".txt") })
	if err != nil {
		return "", nil, err
	}
	raw, err := os.ReadFile(p)
	return p, raw, err
}

// editSmall writes other words over 1 kB in the middle of a small text.
func editSmall(_ context.Context, dir string) error {
	p, raw, err := textOf(dir, smallText)
	if err != nil {
		return err
	}
	copy(raw[5000:5000+editBytes], newGenerator(3).words)
	return os.WriteFile(p, raw, 0o600)
}

// insertFront puts 4 kB of other words before a large text.
func insertFront(_ context.Context, dir string) error {
	p, raw, err := textOf(dir, largeText)
	if err != nil {
		return err
	}
	return os.WriteFile(p, append([]byte(newGenerator(4).words[:frontBytes]), raw...), 0o600)
}

// editRows gives ten messages, spread over the largest database, the text of their
// neighbours.
func editRows(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		return fmt.Errorf("%w: sqlite3 is not installed", errSkip)
	}
	p, err := find(dir, func(p string, n int64) bool { return strings.HasSuffix(p, ".sqlite") && n > 15<<20 })
	if err != nil {
		return err
	}
	const change = `CREATE TEMP TABLE n AS SELECT count(*)/10 AS t FROM msg;
UPDATE msg SET body=(SELECT body FROM msg m WHERE m.id=msg.id+1) WHERE id % (SELECT t FROM n) = 17 AND id < 10*(SELECT t FROM n);`
	out, err := exec.CommandContext(ctx, "sqlite3", "-batch", p, change).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot change the database: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
