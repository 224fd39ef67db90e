package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/reprovision/reprovision/pkg/detect"
)

// massKinds harm a whole root, or most of it, at once. Each is done to all four
// roots at the same time.
func massKinds() []kind {
	return []kind{
		mass("root emptied", everywhere(), erased(), emptied),
		mass("root directory deleted", everywhere(), erased(), func(v *victim) error { return os.RemoveAll(v.path) }),
		mass("root became a file", everywhere(), corrupted(), func(v *victim) error {
			return v.instead(func(p string) error { return os.WriteFile(p, garbage(v.rnd, 900), 0o644) })
		}),
		mass("most files of a root deleted", everywhere(), erased(), func(v *victim) error {
			return v.most(os.Remove)
		}),
		mass("most files of a root cut to zero", everywhere(), corrupted(), func(v *victim) error {
			return v.most(func(p string) error { return os.Truncate(p, 0) })
		}),
		doubtful(mass("most files of a root encrypted in place", everywhere(), corrupted(), func(v *victim) error {
			return v.most(func(p string) error {
				if strings.HasSuffix(p, ".bin") {
					return nil // noise before and after: nobody can tell
				}
				st, err := os.Stat(p)
				if err != nil {
					return err
				}
				return os.WriteFile(p, garbage(v.rnd, int(st.Size())+40), 0o600)
			})
		})),
		doubtful(mass("many files of no known format encrypted in place", everywhere(), corrupted(), func(v *victim) error {
			ledgers, err := filepath.Glob(filepath.Join(v.path, "ledger", "*", "*.ledger"))
			if err != nil || len(ledgers) < 2*detect.Many {
				return fmt.Errorf("%d ledgers: %w", len(ledgers), err)
			}
			v.path = ledgers[0]
			for _, p := range ledgers[:2*detect.Many-1] { // so few that nothing else is remarkable
				if err := os.WriteFile(p, garbage(v.rnd, 5000), 0o600); err != nil {
					return err
				}
			}
			return nil
		})),
		mass("most files of a root encrypted under new names", everywhere(), damaged(), func(v *victim) error {
			return v.most(func(p string) error { return lockAway(v, p) })
		}),
	}
}

func mass(name string, on, want []string, harm func(v *victim) error) kind {
	return kind{
		name: name, on: on, want: want, when: massive,
		inject: func(_ context.Context, v *victim) error { return harm(v) },
	}
}

func emptied(v *victim) error {
	entries, err := os.ReadDir(v.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(v.path, e.Name())); err != nil {
			return err
		}
	}
	v.path = v.files()[0]
	return nil
}

// files lists the regular files among what the fault harms.
func (v *victim) files() []string {
	var all []string
	for _, s := range v.kept {
		if s.mode.IsRegular() {
			all = append(all, s.path)
		}
	}
	return all
}

// most does harm to four of five files, all over the root. The verdict is then
// asked of the first of them.
func (v *victim) most(harm func(path string) error) error {
	files := v.files()
	v.path = files[0]
	for i, p := range files {
		if i%5 == 4 {
			continue
		}
		if err := harm(p); err != nil {
			return err
		}
	}
	return nil
}

// massTrial is about a whole root.
func massTrial(st *stage, k kind, i int) *trial {
	t := st.blank(k, i)
	t.v.path = st.rig.root(t.class)
	t.refuse(t.v.keep(t.v.path))
	return t
}
