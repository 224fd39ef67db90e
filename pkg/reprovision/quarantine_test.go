package reprovision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// shelf is a quarantine with a clock, and a file to put into it.
type shelf struct {
	t    *testing.T
	q    reprovision.Quarantine
	now  time.Time
	src  string
	root *os.Root
}

func newShelf(t *testing.T, limit int64, keep time.Duration) *shelf {
	t.Helper()
	s := &shelf{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), src: t.TempDir()}
	s.q = reprovision.Quarantine{Dir: t.TempDir(), Max: limit, Keep: keep, Now: func() time.Time { return s.now }}
	root, err := os.OpenRoot(s.src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	s.root = root
	return s
}

func (s *shelf) take(run *reprovision.Run, name userdata.Name, text string) error {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.src, "f"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	info, err := s.root.Lstat("f")
	if err != nil {
		s.t.Fatal(err)
	}
	return run.Take(s.root, "f", name, info)
}

// put takes bytes that must find room.
func (s *shelf) put(run *reprovision.Run, name userdata.Name, bytes int) {
	s.t.Helper()
	if err := s.take(run, name, strings.Repeat("x", bytes)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) full(run *reprovision.Run, bytes int) {
	s.t.Helper()
	if err := s.take(run, "keys/full", strings.Repeat("x", bytes)); !errors.Is(err, reprovision.ErrQuarantineFull) {
		s.t.Errorf("%d bytes: %v", bytes, err)
	}
}

// kept tells which of the runs are there.
func (s *shelf) kept(want bool, runs ...*reprovision.Run) {
	s.t.Helper()
	for i, r := range runs {
		if _, err := os.Stat(r.Dir()); (err == nil) != want {
			s.t.Errorf("run %d: %v, want it kept: %v", i, err, want)
		}
	}
}

func TestQuarantineMakesRoomAndExpires(t *testing.T) {
	s := newShelf(t, 250, 24*time.Hour)
	first := s.q.Begin("")
	s.put(first, "keys/f", 200)
	s.now = s.now.Add(time.Hour)
	second := s.q.Begin("")
	s.put(second, "keys/f", 200)
	s.kept(false, first)
	s.full(second, 251)
	s.now = s.now.Add(25 * time.Hour)
	if err := s.q.Expire(); err != nil {
		t.Fatal(err)
	}
	s.kept(false, second)
}

func TestRunsPastTheirTimeGoWhenRoomIsNeeded(t *testing.T) {
	s := newShelf(t, 1000, 24*time.Hour)
	old := s.q.Begin("")
	s.put(old, "keys/f", 10)
	s.now = s.now.Add(20 * time.Hour)
	young := s.q.Begin("")
	s.put(young, "keys/f", 10)
	s.now = s.now.Add(5 * time.Hour)
	s.put(s.q.Begin(""), "keys/f", 10)
	s.kept(false, old)
	s.kept(true, young)
}

func TestRunInUseDoesNotExpireUnderItself(t *testing.T) {
	s := newShelf(t, 1000, 24*time.Hour)
	first := s.q.Begin("")
	s.put(first, "keys/f", 10)
	s.now = s.now.Add(48 * time.Hour)
	s.put(s.q.Begin(first.Name()), "keys/g", 10)
	if _, err := os.Stat(filepath.Join(first.Dir(), "keys", "f")); err != nil {
		t.Errorf("a resumed run lost what it kept: %v", err)
	}
}

func TestNothingIsDroppedWhereThatIsNotEnough(t *testing.T) {
	s := newShelf(t, 250, 0)
	old := s.q.Begin("")
	s.put(old, "keys/f", 50)
	s.now = s.now.Add(time.Hour)
	current := s.q.Begin("")
	s.put(current, "keys/f", 200)
	s.full(current, 51)
	s.kept(true, old, current)
	s.put(current, "keys/g", 50) // now the old one has to go
	s.kept(false, old)
	s.full(current, 1)
}

// What appears in the quarantine after the first item is not seen: the run has
// measured once and counts from then on.
func TestQuarantineIsMeasuredOnceARun(t *testing.T) {
	s := newShelf(t, 250, 0)
	old := s.q.Begin("")
	s.put(old, "keys/f", 50)
	s.now = s.now.Add(time.Hour)
	current := s.q.Begin("")
	s.put(current, "keys/f", 50)
	if err := os.WriteFile(filepath.Join(old.Dir(), "more"), make([]byte, 150), 0o600); err != nil {
		t.Fatal(err)
	}
	s.put(current, "keys/g", 50)
	s.kept(true, old)
	s.put(s.q.Begin(current.Name()), "keys/h", 50) // a new one measures: 200 + 100 + 50
	s.kept(false, old)
}

func TestWhatIsKeptIsNeverReplaced(t *testing.T) {
	s := newShelf(t, 1000, 0)
	first := s.q.Begin("")
	for i, text := range []string{"one", "two", "three"} {
		run := first
		if i == 2 {
			run = s.q.Begin(first.Name()) // after an interruption
		}
		if err := s.take(run, "keys/f", text); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"f": "one", "f.~1~": "two", "f.~2~": "three"} {
		if raw, err := os.ReadFile(filepath.Join(first.Dir(), "keys", name)); string(raw) != want {
			t.Errorf("%s holds %q, %v", name, raw, err)
		}
	}
}

// The quarantine asks for the time after the item was judged and before it is
// copied: there the owner saves the file.
func TestEditWhileTheOldFileIsCopiedStays(t *testing.T) {
	for name, replacement := range map[string]func(p *phone, path string){
		"appended": func(p *phone, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			p.must(err)
			_, err = f.WriteString("and more")
			p.must(errors.Join(err, f.Close()))
		},
		"replaced": func(p *phone, path string) {
			p.must(os.WriteFile(path+".new", []byte("new key"), 0o600))
			p.must(os.Rename(path+".new", path))
		},
		"deleted": func(p *phone, path string) { p.must(os.Remove(path)) },
	} {
		p := newPhone(t)
		p.backUp()
		p.write("keys/a", strings.Repeat("\x00", 100))
		plan := p.plan(reprovision.Selection{Damage: true})
		r := p.restorer()
		armed := false
		var edited string
		q := reprovision.Quarantine{Dir: filepath.Join(p.state, "q"), Max: 1 << 20, Keep: time.Hour, Now: func() time.Time {
			if armed {
				armed = false
				replacement(p, p.path("keys/a"))
				raw, _ := os.ReadFile(p.path("keys/a"))
				edited = string(raw)
			}
			return time.Now()
		}}
		run := q.Begin("")
		p.must(os.MkdirAll(filepath.Join(p.state, "q", q.Now().Add(-time.Minute).UTC().Format("20060102T150405.000000000Z")), 0o700))
		r.Run, armed = run, true
		result, err := r.Restore(context.Background(), plan)
		p.must(err)
		raw, _ := os.ReadFile(p.path("keys/a"))
		if len(result.Failed) != 1 || string(raw) != edited {
			t.Errorf("%s: failed %v, the file holds %q", name, result.Failed, raw)
		}
	}
}
