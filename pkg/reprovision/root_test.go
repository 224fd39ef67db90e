package reprovision_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/userdata"
)

func TestWhatIsNoDirectoryInThePlaceOfARoot(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "file")
	for name, place := range map[string]func(path string) error{
		"file":             func(path string) error { return os.WriteFile(path, []byte("kept"), 0o600) },
		"empty file":       func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"dangling symlink": func(path string) error { return os.Symlink("/nonexistent/root", path) },
		"symlink to file":  func(path string) error { return os.Symlink(elsewhere, path) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t)
			p.must(os.WriteFile(elsewhere, []byte("untouched"), 0o600))
			p.backUp()
			before := p.picture(p.path("keys"))
			p.must(os.RemoveAll(p.path("keys")))
			p.must(place(p.path("keys")))
			was, err := os.Lstat(p.path("keys"))
			p.must(err)
			result := p.restore(reprovision.Selection{Damage: true})
			if after := p.picture(p.path("keys")); after != before || result.Verified < 5 {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
			if raw, _ := os.ReadFile(elsewhere); string(raw) != "untouched" {
				t.Errorf("the symlink's target holds %q", raw)
			}
			p.keptRoot(was)
		})
	}
}

// TestRootThatIsNotMounted: nothing is made in the place of a file system that is away.
func TestRootThatIsNotMounted(t *testing.T) {
	for _, mountPointStays := range []bool{true, false} {
		p := newPhone(t)
		p.backUp()
		p.must(os.RemoveAll(p.path("keys")))
		if mountPointStays {
			p.must(os.Mkdir(p.path("keys"), 0o755))
		}
		r := p.restorer()
		r.Mounts = map[string]string{"keys": p.path("keys")}
		result, err := r.Restore(t.Context(), p.plan(reprovision.Selection{Damage: true}))
		p.must(err)
		if result.Restored != 0 || len(result.Failed) != result.Planned || result.Planned == 0 {
			t.Errorf("%d of %d restored", result.Restored, result.Planned)
		}
		if left, _ := os.ReadDir(p.path("keys")); len(left) != 0 {
			t.Errorf("something was made at the mount point: %v", left)
		}
		if _, err := os.Lstat(p.path("keys")); mountPointStays != (err == nil) {
			t.Errorf("the mount point: %v", err)
		}
	}
}

// keptRoot looks for what was in the place of the root in the quarantine.
func (p *phone) keptRoot(was os.FileInfo) {
	p.t.Helper()
	if was.Mode().IsRegular() && was.Size() == 0 {
		return
	}
	matches, err := filepath.Glob(filepath.Join(p.state, "quarantine", "*", "keys.root"))
	p.must(err)
	if len(matches) != 1 {
		p.t.Fatalf("quarantine has %v", matches)
	}
	info, err := os.Lstat(matches[0])
	p.must(err)
	if info.Mode() != was.Mode() || info.Size() != was.Size() {
		p.t.Errorf("kept %v %d bytes, was %v %d bytes", info.Mode(), info.Size(), was.Mode(), was.Size())
	}
}

func TestRootMayBeASymlinkToADirectory(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	target := filepath.Join(t.TempDir(), "keys")
	p.must(os.Rename(p.path("keys"), target))
	p.must(os.Symlink(target, p.path("keys")))
	p.must(os.Remove(filepath.Join(target, "a")))
	p.restore(reprovision.Selection{})
	if raw, _ := os.ReadFile(filepath.Join(target, "a")); string(raw) != "a of keys" {
		t.Errorf("restored %q", raw)
	}
	if info, err := os.Lstat(p.path("keys")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the symlink is gone: %v, %v", info, err)
	}
}

func TestNamesLikeOursAreTheUsersOwn(t *testing.T) {
	p := newPhone(t)
	notes, stuff := "keys/"+userdata.TempPrefix+"notes", "keys/"+userdata.TempPrefix+"stuff/x"
	p.write(notes, "mine")
	p.write(stuff, "mine too")
	p.backUp()
	for _, n := range []string{"keys/a", notes} {
		p.must(os.Remove(p.path(n)))
	}
	p.restore(reprovision.Selection{Damage: true})
	for n, want := range map[string]string{"keys/a": "a of keys", notes: "mine", stuff: "mine too"} {
		if raw, _ := os.ReadFile(p.path(n)); string(raw) != want {
			t.Errorf("%s holds %q", n, raw)
		}
	}
}

func TestLeftoverThatStaysHarmsNothing(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("keys/a")))
	stuck := "keys/" + userdata.TempPrefix + "0123456789abcdef"
	gone := "keys/" + userdata.TempPrefix + "fedcba9876543210"
	p.write(stuck+"/inner", "cannot be removed with it")
	p.write(gone, "half")
	p.restore(reprovision.Selection{Damage: true})
	if _, err := os.Lstat(p.path(stuck + "/inner")); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(p.path(gone)); !os.IsNotExist(err) {
		t.Errorf("left over: %v", err)
	}
}
