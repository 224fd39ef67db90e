package reprovision_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

var errDamaged = errors.New("the stored blob is damaged")

// damage makes the reader's store answer for these blobs as it does for damaged
// ones: what comes before is sent, and the call ends.
func (p *phone) damage(bad ...vault.BlobID) vault.Fetch {
	return func(ctx context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		for _, id := range ids {
			if slices.Contains(bad, id) {
				return errDamaged
			}
			if err := got(id, p.blobs[id]); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
}

func TestDamagedBlobCostsOnlyItsItems(t *testing.T) {
	for _, class := range userdata.Classes() {
		p := newPhone(t)
		p.backUp()
		for _, c := range userdata.Classes() {
			p.must(os.Remove(p.path(string(c) + "/a")))
		}
		plan := p.plan(reprovision.Selection{})
		bad := p.dataSet.Packs(userdata.Name(class + "/a"))
		r := p.restorer()
		r.Fetch = p.damage(bad...)
		result, err := r.Restore(context.Background(), plan)
		p.must(err)
		needing := 0
		for _, n := range plan.Names() {
			hit := slices.ContainsFunc(p.dataSet.Packs(n), func(id vault.BlobID) bool { return slices.Contains(bad, id) })
			if hit {
				needing++
			}
			if hit == slices.Contains(result.Done, n) {
				t.Errorf("%s damaged: %s needs it %v and is done %v", class, n, hit, !hit)
			}
		}
		if needing == 0 || needing == len(plan.Actions) || len(result.Failed) != needing {
			t.Errorf("%s damaged: %d of %d items need it, failed %v", class, needing, len(plan.Actions), result.Failed)
		}
	}
}

// newCache makes a cache of opened packs that need no opening, and the ids.
func newCache(t *testing.T, packs int) (*reprovision.PackCache, []vault.BlobID) {
	t.Helper()
	ids, uses := make([]vault.BlobID, packs), make(map[vault.BlobID]int)
	for i := range ids {
		ids[i] = vault.BlobID(vault.NewSnapshotID())
		uses[ids[i]] = 1
	}
	open := func(_ vault.BlobID, sealed []byte) ([]byte, error) { return sealed, nil }
	c, err := reprovision.NewPackCache(t.TempDir(), open, uses)
	if err != nil {
		t.Fatal(err)
	}
	return c, ids
}

func TestEveryOtherBlobDamaged(t *testing.T) {
	ctx := context.Background()
	c, ids := newCache(t, 1000)
	calls := 0
	err := c.Fill(ctx, ids, func(_ context.Context, want []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		calls++
		for _, id := range want {
			if i := slices.Index(ids, id); i%2 == 1 {
				return fmt.Errorf("%w: number %d", errDamaged, i)
			}
			if err := got(id, []byte("pack")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || calls != 500 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	for i, id := range ids {
		plain, err := c.Pack(ctx, id)
		if odd := i%2 == 1; errors.Is(err, errDamaged) != odd || (string(plain) == "pack") == odd {
			t.Fatalf("pack %d: %q, %v", i, plain, err)
		}
	}
}

func TestReaderThatGivesNothingIsNotAskedForEver(t *testing.T) {
	c, ids := newCache(t, 2000)
	calls := 0
	err := c.Fill(context.Background(), ids, func(context.Context, []vault.BlobID, func(vault.BlobID, []byte) error) error {
		calls++
		return errDamaged
	})
	if !errors.Is(err, errDamaged) || calls >= 1000 {
		t.Errorf("%d calls, %v", calls, err)
	}
	for _, id := range []vault.BlobID{ids[0], ids[1999]} {
		if _, err := c.Pack(context.Background(), id); !errors.Is(err, errDamaged) {
			t.Errorf("waiting items learn %v", err)
		}
	}
}

func TestInterruptedFetchIsNotRepeated(t *testing.T) {
	ended, end := context.WithCancel(context.Background())
	end()
	for name, c := range map[string]struct {
		ctx context.Context
		err error
	}{
		"link":    {context.Background(), fmt.Errorf("%w: gone", reprovision.ErrInterrupted)},
		"context": {ended, errDamaged},
	} {
		cache, ids := newCache(t, 3)
		calls := 0
		err := cache.Fill(c.ctx, ids, func(context.Context, []vault.BlobID, func(vault.BlobID, []byte) error) error {
			calls++
			return c.err
		})
		if !errors.Is(err, c.err) || calls != 1 {
			t.Errorf("%s: %d calls, %v", name, calls, err)
		}
	}
}

func TestPackThatCannotBeKeptIsNotTheReadersFault(t *testing.T) {
	dir := t.TempDir()
	open := func(vault.BlobID, []byte) ([]byte, error) { return []byte("pack"), nil }
	ids := []vault.BlobID{vault.BlobID(vault.NewSnapshotID()), vault.BlobID(vault.NewSnapshotID())}
	c, err := reprovision.NewPackCache(dir, open, map[vault.BlobID]int{ids[0]: 1, ids[1]: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err = c.Fill(context.Background(), ids, func(_ context.Context, want []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		calls++
		return got(want[0], []byte("sealed"))
	})
	if !errors.Is(err, os.ErrNotExist) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
