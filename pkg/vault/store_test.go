package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

// backUp writes keys/k with these contents on top of base into the store.
func backUp(s vault.Store, key vault.Key, base *vault.DataSet, body string) (*vault.DataSet, error) {
	id := vaulttest.Record(1).ID
	cfg := vault.WriterConfig{
		Key: key, Vault: id, Base: base, Mode: vault.Full, Snapshot: vault.NewSnapshotID(), Seq: 1, Now: time.Unix(1, 0),
		Put: func(_ context.Context, b vault.Blob) error {
			if missing, err := s.Missing(id, []vault.BlobID{b.ID}); err != nil || len(missing) == 0 {
				return err
			}
			return s.Put(id, []vault.StoredBlob{{ID: b.ID, Sealed: b.Sealed}})
		},
	}
	if base != nil {
		cfg.Mode, cfg.Seq = vault.Incremental, base.Header().Seq+1
	}
	w, err := vault.NewWriter(cfg)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(body))), nil }
	for _, it := range []manifest.Item{
		{Name: "keys", Class: userdata.Keys, Type: manifest.Dir, Mode: 0o700},
		{Name: "keys/k", Class: userdata.Keys, Type: manifest.File, Mode: 0o600},
	} {
		if _, err := w.Add(context.Background(), it, open); err != nil {
			return nil, err
		}
	}
	c, d, err := w.Finish(context.Background())
	if err != nil {
		return nil, err
	}
	return d, s.Commit(id, *c, time.Unix(2, 0))
}

// restore reads keys/k of the newest snapshot with nothing but store and key.
func restore(s vault.Store, key vault.Key) (string, error) {
	id := vaulttest.Record(1).ID
	all, err := s.Snapshots(id)
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	d, err := vault.LoadDataSet(ctx, key, id, all[0].Snapshot, all[0].Header, func(_ context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		for _, b := range ids {
			sealed, err := s.Get(id, b)
			if err != nil {
				return err
			}
			if err := got(b, sealed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	e, _ := d.Entry("keys/k")
	packs := vault.NewPackReader(key, id, func(_ context.Context, b vault.BlobID) ([]byte, error) { return s.Get(id, b) })
	var out bytes.Buffer
	err = e.Content(ctx, packs, &out)
	return out.String(), err
}

// TestThroughStore makes backups into a store that fails now and then, repeats
// what failed, and restores from what the store holds.
func TestThroughStore(t *testing.T) {
	key, err := vault.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s := vaulttest.NewFaulty(vaulttest.NewMemory(vault.Limits{}))
	if err := s.Create(vaulttest.Record(1)); err != nil {
		t.Fatal(err)
	}
	d, err := backUp(s, key, nil, "first")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"Put", "Missing", "Commit"} {
		s.Inject(vaulttest.Fault{Op: op})
		if _, err := backUp(s, key, d, "second"); !errors.Is(err, vaulttest.ErrInjected) {
			t.Fatalf("%s: got %v", op, err)
		}
		s.Clear()
		if got, err := restore(s, key); err != nil || got != "first" {
			t.Fatalf("%s: restored %q, %v", op, got, err)
		}
	}
	if d, err = backUp(s, key, d, "second"); err != nil {
		t.Fatal(err)
	}
	if got, err := restore(s, key); err != nil || got != "second" {
		t.Fatalf("restored %q, %v", got, err)
	}
	if _, err := backUp(s, key, d, "third"); err != nil {
		t.Fatal(err)
	}
	if _, err := backUp(s, key, d, "fork"); !errors.Is(err, vault.ErrStale) {
		t.Fatalf("a fork: got %v", err)
	}
	other, err := vault.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := restore(s, other); !errors.Is(err, vault.ErrSealBroken) {
		t.Fatalf("another key: got %v", err)
	}
}
