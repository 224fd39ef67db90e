package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// made is a file of the corpus.
type made struct {
	name string // below the root: FORMAT/NAME
	data []byte
	mode fs.FileMode
}

// few is how many files of most formats a root gets.
const few = 6

// stock is how many files of a format a root gets.
func stock(format string) int {
	switch format {
	case "json":
		return 16
	case "text", "long":
		return 32
	case "diary": // never touched: so that what is damaged stays a small part
		return 110
	case "binary":
		return 10
	}
	return few
}

// corpus is what a rig's roots are filled with, and which files of it have not
// been used yet. Each fault gets files of its own.
type corpus struct {
	rig  *rig
	left map[string][]string // by class and format: paths
	old  time.Time           // the files' mtime
}

func newCorpus(r *rig) *corpus {
	return &corpus{rig: r, left: make(map[string][]string), old: time.Now().Add(-72 * time.Hour).Truncate(time.Second)}
}

// fill puts files of the wanted formats into all four roots; small makes only few.
func fill(ctx context.Context, r *rig, small bool, wanted func(format string) bool) (*corpus, error) {
	c := newCorpus(r)
	rnd := rand.New(rand.NewPCG(4, 6))
	for _, class := range userdata.Classes() {
		for _, f := range formats() {
			if !wanted(f.name) {
				continue
			}
			n := stock(f.name)
			if small {
				n = min(n, few)
			}
			if err := c.add(rnd, class, f, n); errors.Is(err, unix.EPERM) && f.name == "twin" {
				continue // no file has two names on this file system
			} else if err != nil {
				return nil, err
			}
		}
	}
	return c, c.foreign(ctx, wanted)
}

// add makes n files of a format.
func (c *corpus) add(rnd *rand.Rand, class userdata.Class, f format, n int) error {
	for i := range n {
		files, err := f.make(rnd, i)
		if err == nil {
			err = c.put(class, f.name, files)
		}
		if err != nil {
			return fmt.Errorf("cannot make a %s: %w", f.name, err)
		}
	}
	return nil
}

// put writes what belongs together; the first of it is what a fault is done to.
func (c *corpus) put(class userdata.Class, format string, files []made) error {
	for i, f := range files {
		path := filepath.Join(c.rig.root(class), format, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
		if err := os.Chtimes(path, c.old, c.old); err != nil {
			return err
		}
		if i == 0 {
			c.keep(class, format, path)
		}
		if format == "twin" {
			if err := os.Link(path, twin(path)); err != nil {
				return err
			}
		}
	}
	return nil
}

// twin is the other name of a file that has two.
func twin(path string) string { return path + ".same" }

func (c *corpus) keep(class userdata.Class, format, path string) {
	key := string(class) + "/" + format
	c.left[key] = append(c.left[key], path)
}

// take gives a file of the format that nothing has been done to.
func (c *corpus) take(class userdata.Class, format string) (string, error) {
	key := string(class) + "/" + format
	if len(c.left[key]) == 0 {
		return "", fmt.Errorf("%w: no file of the format %s is left", errSkip, format)
	}
	path := c.left[key][0]
	c.left[key] = c.left[key][1:]
	return path, nil
}

// foreign adds what other programs have to make, where they are installed.
func (c *corpus) foreign(ctx context.Context, wanted func(format string) bool) error {
	if wanted("sqlite") || wanted("transaction") || wanted("bplist") {
		if err := c.byPython(ctx); err != nil {
			return err
		}
	}
	if !wanted("pkcs12") {
		return nil
	}
	return c.byOpenSSL(ctx)
}

// databases makes SQLite databases, the same with a rollback journal beside them,
// and binary property lists at the paths that it reads, a JSON list each.
const databases = `
import json, plistlib, sqlite3, sys
bases, busy, lists = json.load(sys.stdin)
for n, path in enumerate(bases + busy):
    db = sqlite3.connect(path)
    db.execute("pragma journal_mode=off")
    db.execute("create table message (id integer primary key, sender text, subject text, body text)")
    db.execute("create index by_sender on message (sender)")
    db.executemany("insert into message (sender, subject, body) values (?, ?, ?)",
        [("keeper%d@lighthouse.example" % (i * 7 % 40), "Watch %d of %d" % (i, n), "Wind and tide. " * (i % 12 + 3)) for i in range(160)])
    db.commit()
    db.close()
    if path in busy:
        with open(path + "-journal", "wb") as f:
            f.write(bytes.fromhex("d9d505f920a163d7") + bytes(504))
for n, path in enumerate(lists):
    with open(path, "wb") as f:
        plistlib.dump({"name": "lamp %d" % n, "hours": list(range(60)), "on": True,
            "stations": ["station %d" % i for i in range(40)]}, f, fmt=plistlib.FMT_BINARY)
`

func (c *corpus) byPython(ctx context.Context) error {
	if _, err := exec.LookPath("python3"); err != nil {
		return nil // their kinds find no file
	}
	var want [3][]string
	for _, class := range userdata.Classes() {
		for f, format := range []string{"sqlite", "transaction", "bplist"} {
			for i := range few {
				path := filepath.Join(c.rig.root(class), format, fmt.Sprintf("station-%d.%s", i, []string{"db", "db", "plist"}[f]))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				want[f] = append(want[f], path)
				c.keep(class, format, path)
			}
		}
	}
	in, err := json.Marshal(want)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "python3", "-c", databases)
	cmd.Stdin = strings.NewReader(string(in))
	return loud(cmd, "cannot make the databases")
}

// commit ends the transactions that databases were in when they were made.
func (c *corpus) commit() error {
	for _, class := range userdata.Classes() {
		for _, path := range c.left[string(class)+"/transaction"] {
			if err := os.Remove(path + "-journal"); err != nil {
				return err
			}
		}
	}
	return nil
}

// byOpenSSL makes one PKCS#12 file, which all classes get some copies of.
func (c *corpus) byOpenSSL(ctx context.Context) error {
	if _, err := exec.LookPath("openssl"); err != nil {
		return nil
	}
	dir, err := os.MkdirTemp("", "catalogue-p12-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rnd := rand.New(rand.NewPCG(4, 12))
	key, cert, err := identity(rnd, 0)
	if err != nil {
		return err
	}
	both := append(append([]byte(nil), key...), cert...)
	if err := os.WriteFile(filepath.Join(dir, "both.pem"), both, 0o600); err != nil {
		return err
	}
	out := filepath.Join(dir, "keeper.p12")
	cmd := exec.CommandContext(ctx, "openssl", "pkcs12", "-export", "-passout", "pass:lamp",
		"-in", filepath.Join(dir, "both.pem"), "-out", out)
	if err := loud(cmd, "cannot make a PKCS#12 file"); err != nil {
		return err
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	for _, class := range userdata.Classes() {
		for i := range few {
			if err := c.put(class, "pkcs12", []made{{fmt.Sprintf("keeper-%d.p12", i), data, 0o600}}); err != nil {
				return err
			}
		}
	}
	return nil
}
