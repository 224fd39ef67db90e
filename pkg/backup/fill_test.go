package backup_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// phone is a space of one root of keys and one of user data, on real files.
type phone struct {
	t     *testing.T
	dir   string
	space userdata.Space
	scan  *scan.Scanner
	key   vault.Key
	id    vault.VaultID
	sent  []vault.Blob
	base  *vault.DataSet
	seen  scan.Cache
	// onOpen runs when an item is opened to be read.
	onOpen func(userdata.Name)
}

func newPhone(t *testing.T) *phone {
	t.Helper()
	key, err := vault.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{t: t, dir: t.TempDir(), key: key, id: vault.NewVaultID(), onOpen: func(userdata.Name) {}}
	for _, n := range []string{"keys/a", "keys/b", "notes/a", "notes/b"} {
		p.write(n, strings.Repeat("contents of "+n+"\n", 50))
	}
	p.space, err = userdata.NewSpace([]userdata.Root{
		{Name: "keys", Class: userdata.Keys, Path: filepath.Join(p.dir, "keys")},
		{Name: "notes", Class: userdata.UserData, Path: filepath.Join(p.dir, "notes")},
	})
	p.must(err)
	p.scan = scan.New(p.space, time.Now, nil)
	return p
}

func (p *phone) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) path(n string) string { return filepath.Join(p.dir, filepath.FromSlash(n)) }

func (p *phone) write(n, text string) {
	p.t.Helper()
	p.must(os.MkdirAll(filepath.Dir(p.path(n)), 0o755))
	p.must(os.WriteFile(p.path(n), []byte(text), 0o600))
}

// backUp runs one backup of the space as it is and makes it the base of the next.
func (p *phone) backUp(full bool) (backup.Result, *vault.Commit) {
	p.t.Helper()
	ctx := context.Background()
	now, err := p.scan.Scan(ctx, scan.Cache{}, scan.Options{Deep: true})
	p.must(err)
	ref := detect.Reference{Seen: p.seen}
	mode, seq := vault.Full, uint64(1)
	if p.base != nil {
		ref.Manifest, seq = p.base.Manifest(), p.base.Header().Seq+1
		if !full {
			mode = vault.Incremental
		}
	}
	p.sent = nil
	w, err := vault.NewWriter(vault.WriterConfig{
		Key: p.key, Vault: p.id, Base: p.base, Mode: mode, Snapshot: vault.NewSnapshotID(), Seq: seq, Now: time.Now().UTC(),
		Repack: backup.Repack(p.base),
		Put:    func(_ context.Context, b vault.Blob) error { p.sent = append(p.sent, b); return nil },
	})
	p.must(err)
	result, err := backup.Fill(ctx, backup.Input{
		Writer: w, Base: p.base, Full: mode == vault.Full, Repack: backup.Repack(p.base), Scan: now,
		Report: detect.Judge(p.space, ref, now), Log: slog.New(slog.DiscardHandler),
		Open: func(n userdata.Name) (io.ReadCloser, error) { p.onOpen(n); return p.scan.Open(n) },
	})
	p.must(err)
	commit, ds, err := w.Finish(ctx)
	p.must(err)
	p.base, p.seen = ds, now.Cache
	return result, commit
}

func (p *phone) digest(n userdata.Name) string {
	p.t.Helper()
	e, ok := p.base.Entry(n)
	if !ok {
		p.t.Fatalf("%s is not in the data set", n)
	}
	return string(e.Digest[:])
}

func TestUnchangedSendsNothing(t *testing.T) {
	p := newPhone(t)
	if r, _ := p.backUp(false); r.Sent != 6 || len(p.sent) == 0 {
		t.Errorf("first backup: %+v, %d blobs", r, len(p.sent))
	}
	r, commit := p.backUp(false)
	if !commit.Empty() || len(p.sent) != 0 || r.Sent != 0 {
		t.Errorf("second backup: %+v, %d blobs", r, len(p.sent))
	}
}

func TestOnlyWhatChangedIsRead(t *testing.T) {
	p := newPhone(t)
	p.backUp(false)
	var opened []userdata.Name
	p.onOpen = func(n userdata.Name) { opened = append(opened, n) }
	p.write("notes/a", "edited")
	p.must(os.Remove(p.path("notes/b")))
	p.must(os.Chmod(p.path("keys/a"), 0o640))
	r, commit := p.backUp(false)
	if len(opened) != 1 || opened[0] != "notes/a" || r.Sent != 2 || commit.Empty() {
		t.Errorf("opened %v, %+v", opened, r)
	}
	if _, there := p.base.Entry("notes/b"); there {
		t.Error("a deleted note is still in the data set")
	}
	if e, _ := p.base.Entry("keys/a"); e.Mode != 0o640 {
		t.Errorf("mode %o", e.Mode)
	}
}

func TestFullReadsEverything(t *testing.T) {
	p := newPhone(t)
	p.backUp(false)
	opened := 0
	p.onOpen = func(userdata.Name) { opened++ }
	p.backUp(true)
	if opened != 4 {
		t.Errorf("%d files were read", opened)
	}
}

func TestDamageNeverReplacesTheLastGoodState(t *testing.T) {
	for _, full := range []bool{false, true} {
		p := newPhone(t)
		p.backUp(false)
		a, b := p.digest("keys/a"), p.digest("keys/b")
		p.write("keys/a", "")
		p.must(os.Remove(p.path("keys/b")))
		p.write("notes/a", "a legitimate edit")
		r, _ := p.backUp(full)
		if len(r.Held) != 2 {
			t.Errorf("full %v: held %v", full, r.Held)
		}
		if p.digest("keys/a") != a || p.digest("keys/b") != b {
			t.Errorf("full %v: a damaged item took the place of its last good state", full)
		}
	}
}

func TestRootGoneIsHeld(t *testing.T) {
	p := newPhone(t)
	p.backUp(false)
	items := p.base.Manifest().Len()
	p.must(os.RemoveAll(p.path("notes")))
	p.write("keys/c", "new")
	p.backUp(false)
	if got := p.base.Manifest().Len(); got != items+1 {
		t.Errorf("%d items, had %d and added one", got, items)
	}
}

func TestFileThatChangesWhileItIsReadKeepsItsLastState(t *testing.T) {
	p := newPhone(t)
	p.backUp(false)
	was := p.digest("notes/a")
	p.write("notes/a", strings.Repeat("first half\n", 9))
	p.write("notes/new", "new file")
	p.onOpen = func(n userdata.Name) { p.write(string(n), "somebody goes on writing "+string(n)) }
	r, _ := p.backUp(false)
	if p.digest("notes/a") != was {
		t.Error("a torn file was saved")
	}
	if _, there := p.base.Entry("notes/new"); there {
		t.Error("a torn new file was saved")
	}
	if len(r.Held) != 1 || len(r.Skipped) != 1 {
		t.Errorf("held %v, skipped %v", r.Held, r.Skipped)
	}
	p.onOpen = func(userdata.Name) {}
	p.backUp(false)
	if p.digest("notes/a") == was {
		t.Error("the next backup did not take it")
	}
}

func TestErrorOfTheLinkIsNotTakenForABusyFile(t *testing.T) {
	p := newPhone(t)
	now, err := p.scan.Scan(context.Background(), scan.Cache{}, scan.Options{})
	p.must(err)
	gone := errors.New("the link is gone")
	w, err := vault.NewWriter(vault.WriterConfig{
		Key: p.key, Vault: p.id, Mode: vault.Full, Snapshot: vault.NewSnapshotID(), Seq: 1, Now: time.Now().UTC(),
		Put: func(context.Context, vault.Blob) error { return gone },
	})
	p.must(err)
	_, err = backup.Fill(context.Background(), backup.Input{
		Writer: w, Full: true, Scan: now, Report: detect.Judge(p.space, detect.Reference{}, now), Log: slog.New(slog.DiscardHandler),
		Open: func(n userdata.Name) (io.ReadCloser, error) { return p.scan.Open(n) },
	})
	if err == nil {
		_, _, err = w.Finish(context.Background())
	}
	if !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
}

func TestRootThatTheSettingsNoLongerNameIsHeldOnTo(t *testing.T) {
	p := newPhone(t)
	p.backUp(false)
	was := p.digest("notes/a")
	keys, _ := p.space.Root("keys")
	var err error
	p.space, err = userdata.NewSpace([]userdata.Root{keys})
	p.must(err)
	p.scan = scan.New(p.space, time.Now, nil)
	p.write("keys/a", "edited")
	p.backUp(false)
	if p.digest("notes/a") != was {
		t.Error("the notes are not what they were")
	}
}

func TestRootThatChangesItsClassIsPackedAnew(t *testing.T) {
	p := newPhone(t)
	p.backUp(false)
	keys, _ := p.space.Root("keys")
	notes, _ := p.space.Root("notes")
	keys.Class = userdata.Preferences
	var err error
	p.space, err = userdata.NewSpace([]userdata.Root{keys, notes})
	p.must(err)
	p.scan = scan.New(p.space, time.Now, nil)
	p.backUp(false)
	if e, _ := p.base.Entry("keys/a"); e.Class != userdata.Preferences {
		t.Errorf("class %s", e.Class)
	}
}

func TestItemThatNoDataSetCanHoldCostsNoOther(t *testing.T) {
	p := newPhone(t)
	now, err := p.scan.ScanNames(context.Background(), []userdata.Name{"keys", "notes/a"}, scan.Cache{}, scan.Options{})
	p.must(err)
	items := append([]manifest.Item(nil), now.Manifest.Items()...)
	items = append(items, manifest.Item{
		Name: "notes", Class: userdata.UserData, Type: manifest.Dir, Mode: 0o700,
	}, manifest.Item{
		Name: "notes/bad", Class: userdata.UserData, Type: manifest.Symlink, Mode: 0o777, Target: strings.Repeat("x", 1<<17),
	})
	now.Manifest, err = manifest.New(items)
	p.must(err)
	w, err := vault.NewWriter(vault.WriterConfig{
		Key: p.key, Vault: p.id, Mode: vault.Full, Snapshot: vault.NewSnapshotID(), Seq: 1, Now: time.Now().UTC(),
		Put: func(context.Context, vault.Blob) error { return nil },
	})
	p.must(err)
	r, err := backup.Fill(context.Background(), backup.Input{
		Writer: w, Full: true, Scan: now, Report: detect.Judge(p.space, detect.Reference{}, now), Log: slog.New(slog.DiscardHandler),
		Open: func(n userdata.Name) (io.ReadCloser, error) { return p.scan.Open(n) },
	})
	p.must(err)
	if len(r.Skipped) != 1 || r.Skipped[0].Name != "notes/bad" {
		t.Errorf("skipped %v", r.Skipped)
	}
	if _, _, err := w.Finish(context.Background()); err != nil {
		t.Errorf("the others were not saved: %v", err)
	}
}

// TestRootThatBecomesServiceBooks shares no pack with the keys from then on: the card may
// have room for the one and not for the other.
func TestRootThatBecomesServiceBooks(t *testing.T) {
	p := newPhone(t)
	p.write("net/home", "ssid=home\n")
	roots := []userdata.Root{
		{Name: "keys", Class: userdata.Keys, Path: filepath.Join(p.dir, "keys")},
		{Name: "net", Class: userdata.Keys, Path: filepath.Join(p.dir, "net")},
	}
	for _, class := range []userdata.Class{userdata.Keys, userdata.ServiceBooks} {
		roots[1].Class = class
		var err error
		p.space, err = userdata.NewSpace(roots)
		p.must(err)
		p.scan = scan.New(p.space, time.Now, nil)
		p.backUp(false)
	}
	keys := p.base.Packs("keys/a", "keys/b")
	if net := p.base.Packs("net/home"); len(net) != 1 || slices.Contains(keys, net[0]) {
		t.Errorf("service books in %v, keys in %v", net, keys)
	}
}
