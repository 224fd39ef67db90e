package reprovision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/userdata"
)

func TestWipedSpaceComesBackAsItWas(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	before := p.picture(p.dir)
	for _, c := range userdata.Classes() {
		p.must(os.RemoveAll(p.path(string(c))))
	}
	p.restore(reprovision.Selection{Damage: true})
	if after := p.picture(p.dir); tail(after) != tail(before) {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	if got := strings.Join(p.hooks, " "); got != "service-books keys preferences user-data" {
		t.Errorf("hooks ran in the order %q", got)
	}
	if _, err := os.Stat(filepath.Join(p.state, "restore")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pack cache is still there: %v", err)
	}
}

// tail leaves out the line of the directory that holds the roots, which is not
// part of the space.
func tail(picture string) string {
	_, rest, _ := strings.Cut(picture, "\n")
	return rest
}

func TestEmptiedRootComesBackWithItsTime(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	before := p.picture(p.dir)
	for _, n := range []string{"a", "deep", "empty", "link"} {
		p.must(os.RemoveAll(p.path("service-books/" + n)))
	}
	p.restore(reprovision.Selection{Damage: true})
	if after := p.picture(p.dir); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

func TestDamagedFileIsKeptInTheQuarantine(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	nul := strings.Repeat("\x00", 100)
	p.write("keys/a", nul)
	p.write("keys/deep/er/b", "")
	result := p.restore(reprovision.Selection{Damage: true})
	if result.Quarantined != 1 {
		t.Errorf("%d items in the quarantine, want 1: of an empty file nothing needs to be kept", result.Quarantined)
	}
	if got, err := p.quarantined("keys/a"); err != nil || got != nul {
		t.Errorf("quarantine has %q, %v", got, err)
	}
}

func TestLegitimateEditsStay(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.write("service-books/a", "edited")
	p.must(os.Remove(p.path("keys/a")))
	plan := p.plan(reprovision.Selection{})
	if len(plan.Actions) != 1 || plan.Actions[0].Want.Name != "keys/a" {
		t.Errorf("plan %v", plan.Actions)
	}
	if len(plan.Kept) != 1 || plan.Kept[0].Name != "service-books/a" {
		t.Errorf("kept %v", plan.Kept)
	}
	p.restore(reprovision.Selection{})
	if raw, _ := os.ReadFile(p.path("service-books/a")); string(raw) != "edited" {
		t.Errorf("the edit was overwritten with %q", raw)
	}
}

func TestOverwriteIsTheOwnersWord(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.write("service-books/a", "edited")
	p.write("preferences/a", "edited too")
	p.restore(reprovision.Selection{Below: []userdata.Name{"service-books"}, Overwrite: true})
	if raw, _ := os.ReadFile(p.path("service-books/a")); string(raw) != "a of service-books" {
		t.Errorf("not restored: %q", raw)
	}
	if raw, _ := os.ReadFile(p.path("preferences/a")); string(raw) != "edited too" {
		t.Errorf("restored what was not asked for: %q", raw)
	}
	if got, err := p.quarantined("service-books/a"); err != nil || got != "edited" {
		t.Errorf("quarantine has %q, %v", got, err)
	}
}

// What can be read and cannot be judged, such as other bytes on FAT under the old
// time, gives way to the saved state when the owner names it, and only then.
func TestUnavailableGivesWayWhenNamed(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.write("keys/a", "a of kexs")
	p.must(os.Remove(p.path("keys/deep/er/b")))
	now := p.look()
	report := detect.Report{Findings: []detect.Finding{
		{Name: "keys/a", Class: userdata.Keys, Verdict: detect.Unavailable, Reason: "nobody can tell"},
		{Name: "keys/deep/er/b", Class: userdata.Keys, Verdict: detect.Unavailable, Reason: "not mounted"},
	}}
	keys := []userdata.Name{"keys"}
	for _, c := range []struct {
		sel  reprovision.Selection
		want int
	}{
		{reprovision.Selection{}, 0},
		{reprovision.Selection{Below: keys}, 0},
		{reprovision.Selection{Damage: true, Overwrite: true, Below: keys}, 0},
		{reprovision.Selection{Overwrite: true}, 0}, // a whole snapshot
		{reprovision.Selection{Overwrite: true, Below: keys}, 1},
		{reprovision.Selection{Overwrite: true, Names: map[userdata.Name]bool{"keys/a": true}}, 1}, // gone on with
	} {
		plan := reprovision.NewPlan(p.dataSet.Manifest(), now, report, c.sel)
		if n := len(plan.Actions); n != c.want || n == 1 && plan.Actions[0].Want.Name != "keys/a" {
			t.Errorf("%+v: %d actions", c.sel, n)
		}
	}
}

func TestDeletedPreferencesComeBackOnlyWhenAsked(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("preferences/a")))
	if n := len(p.plan(reprovision.Selection{Damage: true}).Actions); n != 0 {
		t.Errorf("%d items would come back by themselves", n)
	}
	if n := len(p.plan(reprovision.Selection{}).Actions); n != 1 {
		t.Errorf("%d items would come back", n)
	}
}

func TestSymlinkInTheWayIsNotFollowed(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	elsewhere := t.TempDir()
	p.must(os.RemoveAll(p.path("keys/deep/er")))
	p.must(os.Symlink(elsewhere, p.path("keys/deep/er")))
	result, err := p.restorer().Restore(context.Background(), p.plan(reprovision.Selection{Names: map[userdata.Name]bool{"keys/deep/er/b": true}}))
	p.must(err)
	entries, err := os.ReadDir(elsewhere)
	p.must(err)
	if len(entries) != 0 {
		t.Fatalf("written through the symlink: %v", entries)
	}
	if result.Verified+len(result.Failed) != result.Planned {
		t.Errorf("result %+v", result)
	}
}

func TestSymlinkInPlaceOfAFile(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	target := filepath.Join(t.TempDir(), "victim")
	p.must(os.WriteFile(target, []byte("untouched"), 0o600))
	p.must(os.Remove(p.path("keys/a")))
	p.must(os.Symlink(target, p.path("keys/a")))
	p.restore(reprovision.Selection{Below: []userdata.Name{"keys/a"}, Overwrite: true})
	if raw, _ := os.ReadFile(target); string(raw) != "untouched" {
		t.Errorf("the symlink's target holds %q", raw)
	}
	if raw, _ := os.ReadFile(p.path("keys/a")); string(raw) != "a of keys" {
		t.Errorf("restored %q", raw)
	}
}

func TestWhatChangesMeanwhileIsNotOverwritten(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.write("keys/a", "")
	p.must(os.Remove(p.path("keys/deep/er/b")))
	plan := p.plan(reprovision.Selection{Damage: true, Suspected: true})
	p.write("keys/a", "the owner types a new key")
	p.write("keys/deep/er/b", "and another")
	result, err := p.restorer().Restore(context.Background(), plan)
	p.must(err)
	if len(result.Failed) != 2 || result.Restored != 0 {
		t.Errorf("result %+v", result)
	}
	for name, want := range map[string]string{"keys/a": "the owner types a new key", "keys/deep/er/b": "and another"} {
		if raw, _ := os.ReadFile(p.path(name)); string(raw) != want {
			t.Errorf("%s holds %q", name, raw)
		}
	}
}

func TestDirectoryInTheWay(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("keys/a")))
	p.write("keys/a/inner", "work")
	p.restore(reprovision.Selection{Below: []userdata.Name{"keys/a"}, Overwrite: true}, "keys/a")
	if raw, _ := os.ReadFile(p.path("keys/a/inner")); string(raw) != "work" {
		t.Errorf("what was in the way holds %q", raw)
	}
}

func TestInterruptedRestoreGoesOnWithoutFetchingTwice(t *testing.T) {
	for cut := range 4 {
		p := newPhone(t)
		p.backUp()
		before := p.picture(p.dir)
		for _, c := range userdata.Classes() {
			p.must(os.RemoveAll(p.path(string(c))))
		}
		p.cutAt = cut
		plan := p.plan(reprovision.Selection{})
		_, err := p.restorer().Restore(context.Background(), plan)
		if needed := len(p.dataSet.Packs(plan.Names()...)); errors.Is(err, reprovision.ErrInterrupted) != (cut < needed) {
			t.Fatalf("cut after %d of %d packs: %v", cut, needed, err)
		}
		p.cutAt = -1
		p.restore(reprovision.Selection{})
		if after := p.picture(p.dir); tail(after) != tail(before) {
			t.Errorf("cut after %d: before\n%s\nafter\n%s", cut, before, after)
		}
		seen := make(map[string]bool)
		for _, id := range p.fetched {
			if seen[id.String()] {
				t.Errorf("cut after %d: pack %s was fetched twice", cut, id)
			}
			seen[id.String()] = true
		}
	}
}

func TestTamperedPackRestoresNothingOfItAndTheRest(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	for _, n := range []string{"keys/a", "user-data/a"} {
		p.write(n, "")
	}
	bad := p.dataSet.Packs("keys/a")[0]
	p.blobs[bad][len(p.blobs[bad])/2] ^= 1
	p.restore(reprovision.Selection{Damage: true, Suspected: true}, "keys/a")
	if info, err := os.Stat(p.path("keys/a")); err != nil || info.Size() != 0 {
		t.Errorf("the damaged file was touched: %v, %v", info, err)
	}
	if raw, _ := os.ReadFile(p.path("user-data/a")); string(raw) != "a of user-data" {
		t.Errorf("an item of another pack was not restored: %q", raw)
	}
}

func TestLeftoversOfAKilledRunAreRemoved(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.write("keys/a", "")
	left := p.path("keys/" + userdata.TempPrefix + "0123456789abcdef")
	p.must(os.WriteFile(left, []byte("half"), 0o600))
	p.restore(reprovision.Selection{Damage: true, Suspected: true})
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left over: %v", err)
	}
}

func TestRootThatThisDeviceDoesNotHave(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	root := p.space.Roots()[0]
	var err error
	p.space, err = userdata.NewSpace([]userdata.Root{root})
	p.must(err)
	p.must(os.RemoveAll(root.Path))
	p.must(os.RemoveAll(p.path("keys")))
	p.restore(reprovision.Selection{})
	if _, err := os.Stat(p.path("keys")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a root was restored that this device does not have: %v", err)
	}
}

// Several attempts, each with its own plan: by name they give the whole.
func TestAttemptsMergeByName(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	for _, c := range userdata.Classes() {
		p.must(os.RemoveAll(p.path(string(c))))
	}
	all := p.plan(reprovision.Selection{}).Names()
	done, counted := make(map[userdata.Name]bool), 0
	for attempt := 0; ; attempt++ {
		p.cutAt = 1
		result, err := p.restorer().Restore(context.Background(), p.plan(reprovision.Selection{}))
		for _, n := range result.Done {
			done[n] = true
		}
		for _, f := range result.Failed {
			t.Errorf("attempt %d: %s: %s", attempt, f.Name, f.Reason)
		}
		if counted += result.Verified; result.Verified != len(result.Done) {
			t.Errorf("attempt %d: %d verified, %d done", attempt, result.Verified, len(result.Done))
		}
		if err == nil {
			if attempt == 0 {
				t.Fatal("was not interrupted")
			}
			break
		}
		if !errors.Is(err, reprovision.ErrInterrupted) || attempt > 10 {
			t.Fatal(err)
		}
	}
	for _, n := range all {
		if !done[n] {
			t.Errorf("%s is not done", n)
		}
	}
	if counted != len(all) {
		t.Errorf("%d verified, %d items", counted, len(all))
	}
}
