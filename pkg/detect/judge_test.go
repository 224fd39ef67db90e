package detect_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// phone is a user-data space on real files, and the reference taken of it.
type phone struct {
	t     *testing.T
	dir   string
	space userdata.Space
	scan  *scan.Scanner
	ref   detect.Reference
}

func newPhone(t *testing.T) *phone {
	t.Helper()
	p := &phone{t: t, dir: t.TempDir()}
	var roots []userdata.Root
	for _, c := range userdata.Classes() {
		path := filepath.Join(p.dir, string(c))
		roots = append(roots, userdata.Root{Name: string(c), Class: c, Path: path})
		for _, f := range []string{"a", "b", "sub/c"} {
			p.write(string(c)+"/"+f, "contents of "+f+" in "+string(c))
		}
	}
	var err error
	if p.space, err = userdata.NewSpace(roots); err != nil {
		t.Fatal(err)
	}
	p.scan = scan.New(p.space, time.Now, nil)
	now := p.look()
	p.ref = detect.Reference{Manifest: now.Manifest, Seen: now.Cache}
	return p
}

func (p *phone) path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

func (p *phone) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) write(name, text string) {
	p.t.Helper()
	p.must(os.MkdirAll(filepath.Dir(p.path(name)), 0o755))
	p.must(os.WriteFile(p.path(name), []byte(text), 0o600))
}

func (p *phone) look() scan.Result {
	p.t.Helper()
	now, err := p.scan.Scan(context.Background(), scan.Cache{}, scan.Options{Deep: true})
	p.must(err)
	return now
}

func (p *phone) judge() detect.Report { return detect.Judge(p.space, p.ref, p.look()) }

// expect checks the findings to be just these, "name verdict" each.
func (p *phone) expect(report detect.Report, want ...string) {
	p.t.Helper()
	var got []string
	for _, f := range report.Findings {
		got = append(got, string(f.Name)+" "+string(f.Verdict))
		if f.Reason == "" {
			p.t.Errorf("%s has no reason", f.Name)
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestNothingHappened(t *testing.T) {
	p := newPhone(t)
	report := p.judge()
	p.expect(report)
	if report.Counts[detect.Intact] != p.ref.Manifest.Len() {
		t.Errorf("%d intact of %d", report.Counts[detect.Intact], p.ref.Manifest.Len())
	}
}

func TestErased(t *testing.T) {
	p := newPhone(t)
	p.must(os.Remove(p.path("service-books/a")))
	p.must(os.RemoveAll(p.path("keys/sub")))
	p.must(os.Remove(p.path("preferences/a")))
	p.must(os.Remove(p.path("user-data/b")))
	p.expect(p.judge(),
		"keys/sub erased", "keys/sub/c erased", "preferences/a changed", "service-books/a erased", "user-data/b changed")
}

func TestRootGone(t *testing.T) {
	p := newPhone(t)
	p.must(os.RemoveAll(p.path("user-data")))
	p.expect(p.judge(), "user-data erased", "user-data/a erased", "user-data/b erased", "user-data/sub erased", "user-data/sub/c erased")
}

func TestRootEmptied(t *testing.T) {
	p := newPhone(t)
	for _, n := range []string{"a", "b", "sub"} {
		p.must(os.RemoveAll(p.path("preferences/" + n)))
	}
	p.expect(p.judge(), "preferences/a erased", "preferences/b erased", "preferences/sub erased", "preferences/sub/c erased")
}

func TestWhatOthersLeaveInAnEmptiedRootSaysNothing(t *testing.T) {
	p := newPhone(t)
	p.must(os.RemoveAll(p.path("preferences")))
	p.must(os.MkdirAll(p.path("preferences/lost+found"), 0o755))
	p.write("preferences/cache", "made anew by a program")
	p.must(syscall.Mkfifo(p.path("preferences/fifo"), 0o600))
	p.expect(p.judge(), "preferences/a erased", "preferences/b erased", "preferences/cache changed",
		"preferences/lost+found changed", "preferences/sub erased", "preferences/sub/c erased")
}

func TestRenamingTheOnlyFileIsNoLoss(t *testing.T) {
	p := newPhone(t)
	p.must(os.RemoveAll(p.path("user-data")))
	p.write("user-data/only", "one file")
	now := p.look()
	p.ref = detect.Reference{Manifest: now.Manifest, Seen: now.Cache}
	p.must(os.Rename(p.path("user-data/only"), p.path("user-data/renamed")))
	p.expect(p.judge(), "user-data/only changed", "user-data/renamed changed")
}

// A second store to a page that is still dirty moves no time, so that unsettled
// observations prove nothing.
func TestUnsettledObservationsProveNothing(t *testing.T) {
	p := newPhone(t)
	saved := p.ref.Manifest
	p.write("keys/a", "contents of A in keys")
	p.ref.Seen = p.seenAs(p.look().Cache, "keys/a", saved)
	p.expect(p.judge(), "keys/a changed")
}

func TestRootIsNoDirectory(t *testing.T) {
	p := newPhone(t)
	p.must(os.RemoveAll(p.path("keys")))
	p.must(os.WriteFile(p.path("keys"), nil, 0o600))
	for _, f := range p.judge().Findings {
		if f.Verdict != detect.Corrupted {
			t.Errorf("%s is %s", f.Name, f.Verdict)
		}
	}
}

func TestCutToZeroAndFilledWithNul(t *testing.T) {
	p := newPhone(t)
	for _, c := range userdata.Classes() {
		p.write(string(c)+"/a", "")
		p.write(string(c)+"/b", strings.Repeat("\x00", 40))
	}
	p.expect(p.judge(),
		"keys/a corrupted", "keys/b corrupted", "preferences/a corrupted", "preferences/b corrupted",
		"service-books/a corrupted", "service-books/b corrupted", "user-data/a corrupted", "user-data/b corrupted")
}

func TestAnEmptyFileThatWasSavedEmptyIsIntact(t *testing.T) {
	p := newPhone(t)
	p.write("keys/empty", "")
	p.write("keys/nul", "\x00\x00")
	now := p.look()
	p.ref = detect.Reference{Manifest: now.Manifest, Seen: now.Cache}
	p.expect(p.judge())
}

// A byte that flips on the medium leaves the inode as it was. Without a device
// below the file system the same picture is had the other way round: the
// reference is told that what lstat says now was said of the saved contents.
func TestContentsDifferAndNobodyWrote(t *testing.T) {
	p := newPhone(t)
	saved := p.ref.Manifest
	p.write("keys/a", "contents of A in keys")                                             // as long as before
	p.scan = scan.New(p.space, func() time.Time { return time.Now().Add(time.Hour) }, nil) // long left alone
	p.ref.Seen = p.seenAs(p.look().Cache, "keys/a", saved)
	p.expect(p.judge(), "keys/a corrupted")
}

// seenAs returns the cache with the digest of a file replaced by the saved one.
func (p *phone) seenAs(c scan.Cache, n userdata.Name, saved manifest.Manifest) scan.Cache {
	p.t.Helper()
	raw, err := c.Marshal()
	p.must(err)
	is, _ := c.Get(n)
	was, _ := saved.Find(n)
	forged := bytes.Replace(raw, is.Digest[:], was.Digest[:], 1)
	if bytes.Equal(forged, raw) {
		p.t.Fatal("the digest does not stand in the cache")
	}
	var out scan.Cache
	p.must(out.Unmarshal(forged))
	return out
}

func TestEdits(t *testing.T) {
	p := newPhone(t)
	p.write("service-books/a", "edited in place")
	p.write("service-books/new", "new")
	p.write("service-books/tmp", "edited by rename")
	p.must(os.Rename(p.path("service-books/tmp"), p.path("service-books/b")))
	p.must(os.Chmod(p.path("keys/a"), 0o640))
	p.must(os.Chtimes(p.path("keys/b"), time.Unix(1, 0), time.Unix(1, 0)))
	p.expect(p.judge(), "keys/a changed", "keys/b changed", "service-books/a changed", "service-books/b changed", "service-books/new changed")
}

func TestWhatWasErasedStaysErasedUntilItIsBack(t *testing.T) {
	p := newPhone(t)
	p.must(os.Remove(p.path("user-data/a")))
	p.must(os.Remove(p.path("user-data/b")))
	p.ref.Erased = func(n userdata.Name) bool { return n == "user-data/a" }
	p.expect(p.judge(), "user-data/a erased", "user-data/b changed")
}

func TestForgotten(t *testing.T) {
	p := newPhone(t)
	p.must(os.Remove(p.path("service-books/a")))
	p.must(os.Remove(p.path("service-books/b")))
	p.ref.Forgotten = func(n userdata.Name) bool { return n == "service-books/a" }
	p.expect(p.judge(), "service-books/a changed", "service-books/b erased")
}

func TestReplacedByAnotherType(t *testing.T) {
	p := newPhone(t)
	p.must(os.RemoveAll(p.path("keys/sub")))
	p.write("keys/sub", "a file now")
	p.must(os.Remove(p.path("keys/a")))
	p.must(os.Symlink("b", p.path("keys/a")))
	p.must(os.Remove(p.path("user-data/a")))
	p.must(syscall.Mkfifo(p.path("user-data/a"), 0o600))
	p.expect(p.judge(), "keys/a changed", "keys/sub corrupted", "keys/sub/c erased", "user-data/a changed")
}

func TestOurOwnRightsAreNoEvidence(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	p := newPhone(t)
	p.must(os.Chmod(p.path("keys/a"), 0))
	p.must(os.Chmod(p.path("keys/sub"), 0))
	t.Cleanup(func() { p.must(os.Chmod(p.path("keys/sub"), 0o700)) })
	p.expect(p.judge(), "keys/a unavailable", "keys/sub unavailable", "keys/sub/c unavailable")
}

func TestConfirmKeepsWhatLasts(t *testing.T) {
	p := newPhone(t)
	p.write("keys/a", "")
	p.write("keys/b", "")
	first := p.judge()
	p.write("keys/a", "the editor has written it again")
	lasting := detect.Confirm(first, p.judge())
	if len(lasting) != 1 || lasting[0].Name != "keys/b" {
		t.Errorf("confirmed %v", lasting)
	}
}

func TestARootThatThisDeviceDoesNotHave(t *testing.T) {
	p := newPhone(t)
	var roots []userdata.Root
	for _, r := range p.space.Roots() {
		if r.Name != "keys" {
			roots = append(roots, r)
		}
	}
	var err error
	p.space, err = userdata.NewSpace(roots)
	p.must(err)
	p.scan = scan.New(p.space, time.Now, nil)
	p.expect(p.judge())
}

// TestPipeInThePlaceOfWhatWasMoved: nothing is lost of what lies elsewhere now, whatever
// has come to its place.
func TestPipeInThePlaceOfWhatWasMoved(t *testing.T) {
	p := newPhone(t)
	p.must(os.Rename(p.path("keys/a"), p.path("keys/z")))
	p.must(syscall.Mkfifo(p.path("keys/a"), 0o600))
	p.must(os.Remove(p.path("keys/b")))
	p.must(syscall.Mkfifo(p.path("keys/b"), 0o600))
	p.expect(p.judge(), "keys/a changed", "keys/b corrupted", "keys/z changed")
}
