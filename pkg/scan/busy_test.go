package scan_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// whileRunning repeats act until the test's main part is over.
func whileRunning(t *testing.T, act func()) (stop func()) {
	t.Helper()
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				act()
			}
		}
	})
	return sync.OnceFunc(func() { close(done); wg.Wait() })
}

func TestAFileThatNeverHoldsStillIsBusy(t *testing.T) {
	s, dir := newScanner(t, later)
	p := write(t, strings.Repeat("x", 8<<20), dir, "log")
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer f.Close()
	stop := whileRunning(t, func() { _, _ = f.WriteString("line\n"); runtime.Gosched() })
	defer stop()
	for range 10 { // on a busy machine the writer may sleep through a whole scan
		res := mustScan(t, s, scan.Cache{}, scan.Options{})
		if _, held := res.Manifest.Find("keys/log"); !held {
			wantProblem(t, res, "keys/log", scan.Busy)
			return
		}
	}
	t.Error("a file that is written to all the time was taken as it was, ten times")
}

// TestReplacedByRename replaces a file over and over as editors do. Each scan
// must see one of the two versions, whole.
func TestReplacedByRename(t *testing.T) {
	s, dir := newScanner(t, later)
	a, b := strings.Repeat("a", 400_000), strings.Repeat("b", 400_000)
	p := write(t, a, dir, "f")
	tmp := filepath.Join(t.TempDir(), "tmp")
	next := b
	stop := whileRunning(t, func() {
		_ = os.WriteFile(tmp, []byte(next), 0o600)
		_ = os.Rename(tmp, p)
		next = map[string]string{a: b, b: a}[next]
	})
	defer stop()
	var cache scan.Cache
	for range 20 {
		res := mustScan(t, s, cache, scan.Options{})
		it, ok := res.Manifest.Find("keys/f")
		if !ok {
			wantProblem(t, res, "keys/f", scan.Busy)
			continue
		}
		if it.Size != 400_000 {
			t.Errorf("%d bytes", it.Size)
		}
		cache = res.Cache
	}
	stop()
	now, err := os.ReadFile(p)
	must(t, err)
	wantContents(t, mustScan(t, s, cache, scan.Options{}), "keys/f", string(now))
}

// TestEntriesThatComeAndGo wants no problem and no crash from a directory that
// changes while it is walked.
func TestEntriesThatComeAndGo(t *testing.T) {
	s, dir := newScanner(t, later)
	for i := range 50 {
		write(t, "stays", dir, "stay", string(rune('A'+i)))
	}
	stop := whileRunning(t, func() {
		sub := filepath.Join(dir, "stay", "sub")
		_ = os.Mkdir(sub, 0o700)
		_ = os.WriteFile(filepath.Join(sub, "f"), []byte("x"), 0o600)
		_ = os.RemoveAll(sub)
	})
	defer stop()
	for range 50 {
		res := mustScan(t, s, scan.Cache{}, scan.Options{})
		for _, p := range res.Problems {
			if p.Reason != scan.Busy {
				t.Errorf("%v", p)
			}
		}
		wantContents(t, res, "keys/stay/A", "stays")
	}
}

func TestRateBoundsReading(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, strings.Repeat("x", 100_000), dir, "f")
	write(t, strings.Repeat("y", 200_000), dir, "g")
	synctest.Test(t, func(t *testing.T) { // whose clock moves only while all wait
		start := time.Now()
		mustScan(t, s, scan.Cache{}, scan.Options{Rate: 100_000})
		if took := time.Since(start).Round(time.Millisecond); took != 3*time.Second {
			t.Errorf("300,000 bytes at 100,000 a second took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Scan(ctx, scan.Cache{}, scan.Options{Rate: 1}); err == nil {
			t.Error("a scan went on after its context had ended")
		}
		if took := time.Since(start).Round(time.Millisecond); took != 4*time.Second {
			t.Errorf("it ended after %v", took)
		}
	})
}

// asNobody runs do on a thread whose file accesses are those of an ordinary user,
// in a directory of that user's.
func asNobody(t *testing.T, dir string, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do()
		return
	}
	must(t, filepath.Walk(filepath.Dir(dir), func(p string, _ os.FileInfo, err error) error {
		must(t, err)
		return os.Lchown(p, nobody, nobody)
	}))
	onThreadOfNobody(t, do)
}

const nobody = 65534

func onThreadOfNobody(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		if _, err := unix.SetfsuidRetUid(nobody); err != nil {
			t.Errorf("cannot become another user: %v", err)
			return
		}
		do()
	}()
	<-done
}

func TestForbiddenItems(t *testing.T) {
	s, dir := newScanner(t, later)
	write(t, "x", dir, "open")
	must(t, os.Chmod(write(t, "x", dir, "closed"), 0))
	write(t, "x", dir, "locked", "f")
	must(t, os.Chmod(filepath.Join(dir, "locked"), 0))
	defer os.Chmod(filepath.Join(dir, "locked"), 0o700)
	asNobody(t, dir, func() {
		res := mustScan(t, s, scan.Cache{}, scan.Options{})
		wantContents(t, res, "keys/open", "x")
		for _, n := range []userdata.Name{"keys/closed", "keys/locked"} {
			if p := wantProblem(t, res, n, scan.Unreadable); !errors.Is(p, os.ErrPermission) {
				t.Errorf("%v", p)
			}
			wantAbsent(t, res, n)
		}
		names := mustScanNames(t, s, scan.Cache{}, "keys/locked/f")
		wantProblem(t, names, "keys/locked/f", scan.Unreadable)
		if len(names.Absent) != 0 {
			t.Errorf("what is forbidden counts as absent: %v", names.Absent)
		}
	})
}

func TestForbiddenRoot(t *testing.T) {
	s, dir := newScanner(t, later)
	must(t, os.Chmod(dir, 0))
	defer os.Chmod(dir, 0o700)
	asNobody(t, dir, func() {
		if state, _ := mustScan(t, s, scan.Cache{}, scan.Options{}).Root("keys"); !state.Unreadable {
			t.Errorf("%+v", state)
		}
	})
}

func TestAFileOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give a file to another user")
	}
	s, dir := newScanner(t, later)
	p := write(t, "x", dir, "f")
	asNobody(t, dir, func() {})
	must(t, os.Chown(p, 0, 0)) // so that O_NOATIME is refused
	onThreadOfNobody(t, func() {
		wantContents(t, mustScan(t, s, scan.Cache{}, scan.Options{}), "keys/f", "x")
	})
}
