package reprovision_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// wiped is a phone that has lost everything, a file of several packs among it, and a
// picture of what it had.
func wiped(t *testing.T) (p *phone, before string) {
	t.Helper()
	p = newPhone(t)
	noise := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	p.write("user-data/big", string(noise))
	p.backUp()
	before = p.picture(p.dir)
	for _, c := range userdata.Classes() {
		p.must(os.RemoveAll(p.path(string(c))))
	}
	return p, before
}

// TestGivesWay has somebody more urgent come at each pack: what was restored by then stays,
// service books and keys come first whatever waits, and no pack is fetched twice.
func TestGivesWay(t *testing.T) {
	p, before := wiped(t)
	all := len(p.dataSet.Packs(p.plan(reprovision.Selection{}).Names()...))
	if all < 5 {
		t.Fatalf("only %d packs", all)
	}
	rounds, settled := 0, 0
	for ; rounds < 2*all; rounds++ {
		r := p.restorer()
		giveWay := make(chan struct{})
		r.GiveWay, r.Settled = giveWay, func() { settled++ }
		r.Fetch = func(ctx context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
			if err := p.fetch(ctx, ids[:1], got); err != nil || len(ids) == 1 {
				return err
			}
			close(giveWay)
			<-ctx.Done() // nothing more comes: it is in the middle of an item that it gives way
			return ctx.Err()
		}
		if rounds == 0 {
			close(giveWay)
			r.Fetch = p.fetch
		}
		_, err := r.Restore(context.Background(), p.plan(reprovision.Selection{}))
		if rounds == 0 && !slices.Equal(p.hooks, []string{"service-books", "keys"}) {
			t.Errorf("hooks run before it gave way: %v", p.hooks)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, reprovision.ErrGaveWay) || !errors.Is(err, reprovision.ErrInterrupted) {
			t.Fatal(err)
		}
	}
	if rounds == 0 || settled != rounds+1 {
		t.Errorf("gave way %d times, settled %d times", rounds, settled)
	}
	if after := p.picture(p.dir); tail(after) != tail(before) {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	slices.SortFunc(p.fetched, func(a, b vault.BlobID) int { return slices.Compare(a[:], b[:]) })
	if once := len(slices.Compact(slices.Clone(p.fetched))); once != len(p.fetched) {
		t.Errorf("%d packs fetched, %d different ones", len(p.fetched), once)
	}
}

// TestDirectoryTimesOverAttempts gives way when a directory is whole, and has not got its time
// yet: the next attempt finds nothing to restore in it.
func TestDirectoryTimesOverAttempts(t *testing.T) {
	p := newPhone(t)
	p.write("user-data/two/a", "first")
	p.write("user-data/z", "second")
	saved := time.Unix(1_600_000_000, 0)
	p.must(os.Chtimes(p.path("user-data/two"), saved, saved))
	p.backUp()
	p.must(os.RemoveAll(p.path("user-data/two")))
	p.must(os.Remove(p.path("user-data/z")))

	first, giveWay := p.plan(reprovision.Selection{}), make(chan struct{})
	r := p.restorer()
	r.GiveWay, r.Progress = giveWay, func(done, _ int64) {
		if done == int64(len("first")) {
			close(giveWay)
			r.Progress = nil
		}
	}
	if _, err := r.Restore(context.Background(), first); !errors.Is(err, reprovision.ErrGaveWay) {
		t.Fatal(err)
	}
	r = p.restorer()
	r.Begun, r.Due = make(map[userdata.Name]bool), []userdata.Class{userdata.UserData}
	for _, n := range first.Names() {
		r.Begun[n] = true
	}
	_, err := r.Restore(context.Background(), p.plan(reprovision.Selection{}))
	p.must(err)
	info, err := os.Stat(p.path("user-data/two"))
	p.must(err)
	if !info.ModTime().Equal(saved) {
		t.Errorf("the directory is of %v", info.ModTime())
	}
}

// TestSettlesWithoutAny settles although there are no service books and keys to restore.
func TestSettlesWithoutAny(t *testing.T) {
	p, _ := wiped(t)
	r := p.restorer()
	settled := 0
	r.Settled = func() { settled++ }
	_, err := r.Restore(context.Background(), p.plan(reprovision.Selection{Classes: []userdata.Class{userdata.UserData}}))
	p.must(err)
	if settled != 1 {
		t.Errorf("settled %d times", settled)
	}
}

// TestProvesAsItGoes wants what was written long ago to be proved by the time that the rest
// is: an end that reads everything back would keep others waiting.
func TestProvesAsItGoes(t *testing.T) {
	p := newPhone(t)
	for _, n := range []string{"1", "2", "3"} {
		p.write("user-data/large"+n, string(make([]byte, 20<<20)))
	}
	p.backUp()
	p.must(os.RemoveAll(p.path("user-data")))
	r, most := p.restorer(), 0
	reread := r.Reread
	r.Reread = func(ctx context.Context, names []userdata.Name) (manifest.Manifest, error) {
		large := 0
		for _, n := range names {
			if info, err := os.Stat(p.path(string(n))); err == nil && info.Size() > 1<<20 {
				large++
			}
		}
		most = max(most, large)
		return reread(ctx, names)
	}
	result, err := r.Restore(context.Background(), p.plan(reprovision.Selection{}))
	p.must(err)
	if most != 2 || result.Verified != result.Planned || len(result.Failed) != 0 {
		t.Errorf("%d large files proved at once; result %+v", most, result)
	}
}
