package reprovision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// aheadMost is what may be ahead of its use, with the pack that goes over it.
const (
	packBytes = 200 << 10
	aheadMost = 8<<20 + packBytes
)

// onDisk is how many bytes of packs lie in a directory.
func onDisk(t *testing.T, dir string) (sum int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// TestFetchesNotFarAhead wants the disk to hold what is fetched ahead, and not the whole
// restore, in whatever order the packs are used.
func TestFetchesNotFarAhead(t *testing.T) {
	for name, order := range map[string]func([]vault.BlobID){
		"in order": func([]vault.BlobID) {}, "the last first": slices.Reverse[[]vault.BlobID],
	} {
		synctest.Test(t, func(t *testing.T) {
			const packs = 100
			ids, uses := make([]vault.BlobID, packs), make(map[vault.BlobID]int)
			for i := range ids {
				ids[i] = vault.BlobID(vault.NewSnapshotID())
				uses[ids[i]] = 1
			}
			dir, fetched := t.TempDir(), 0
			open := func(_ vault.BlobID, sealed []byte) ([]byte, error) { return sealed, nil }
			c, err := reprovision.NewPackCache(dir, open, uses)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				done <- c.Fill(t.Context(), ids, func(_ context.Context, want []vault.BlobID, got func(vault.BlobID, []byte) error) error {
					for _, id := range want {
						fetched++
						if err := got(id, make([]byte, packBytes)); err != nil {
							return err
						}
					}
					return nil
				})
			}()
			synctest.Wait()
			if held := onDisk(t, dir); held == 0 || held > aheadMost {
				t.Errorf("%s: %d bytes before anything is used", name, held)
			}
			used := slices.Clone(ids)
			order(used)
			for i, id := range used {
				if _, err := c.Pack(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				if err := c.Release([]vault.BlobID{id}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if held := onDisk(t, dir); name == "in order" && held > aheadMost {
					t.Fatalf("%s: %d bytes after %d packs", name, held, i)
				}
			}
			if err := <-done; err != nil || fetched != packs {
				t.Errorf("%s: %d packs fetched, %v", name, fetched, err)
			}
		})
	}
}

// TestEndsWhileItIsAhead ends a restore whose fetching waits for the medium. What has come is
// kept, be there room for more or not: it is not sent again.
func TestEndsWhileItIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, uses := make([]vault.BlobID, 100), make(map[vault.BlobID]int)
		for i := range ids {
			ids[i] = vault.BlobID(vault.NewSnapshotID())
			uses[ids[i]] = 1
		}
		dir, given := t.TempDir(), 0
		open := func(_ vault.BlobID, sealed []byte) ([]byte, error) { return sealed, nil }
		c, err := reprovision.NewPackCache(dir, open, uses)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- c.Fill(ctx, ids, func(_ context.Context, want []vault.BlobID, got func(vault.BlobID, []byte) error) error {
				for _, id := range want {
					given++
					if err := got(id, make([]byte, packBytes)); err != nil {
						return err
					}
				}
				return nil
			})
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Fill: %v", err)
		}
		if held := onDisk(t, dir); held != int64(given*packBytes) {
			t.Errorf("%d packs came, and %d bytes of them are kept", given, held)
		}
	})
}

// TestFailedItemsKeepNoPacks wants what no item will use to leave the disk, although some
// items could not be put in place.
func TestFailedItemsKeepNoPacks(t *testing.T) {
	p, _ := wiped(t)
	plan := p.plan(reprovision.Selection{})
	p.write("user-data/big", "somebody's new work")
	r, held := p.restorer(), int64(-1)
	r.Hook = func(context.Context, userdata.Class) error {
		held = onDisk(t, r.CacheDir)
		return nil
	}
	result, err := r.Restore(context.Background(), plan)
	p.must(err)
	if len(result.Failed) != 1 || held != 0 {
		t.Errorf("%d bytes at the end; failed %v", held, result.Failed)
	}
}
