package reprovision_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// phone is a user-data space on real files with one snapshot of it in a real
// vault, sealed, in memory.
type phone struct {
	t       *testing.T
	dir     string
	state   string
	space   userdata.Space
	scan    *scan.Scanner
	key     vault.Key
	id      vault.VaultID
	blobs   map[vault.BlobID][]byte
	fetched []vault.BlobID
	cutAt   int // fetching this many blobs breaks the link; -1 never
	dataSet *vault.DataSet
	seen    scan.Cache
	hooks   []string
}

func newPhone(t *testing.T) *phone {
	t.Helper()
	key, err := vault.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{
		t: t, dir: t.TempDir(), state: t.TempDir(), key: key, id: vault.NewVaultID(),
		blobs: make(map[vault.BlobID][]byte), cutAt: -1,
	}
	var roots []userdata.Root
	for _, c := range userdata.Classes() {
		path := filepath.Join(p.dir, string(c))
		roots = append(roots, userdata.Root{Name: string(c), Class: c, Path: path})
		p.write(string(c)+"/a", "a of "+string(c))
		p.write(string(c)+"/deep/er/b", strings.Repeat("b of "+string(c), 1000))
		p.must(os.MkdirAll(p.path(string(c)+"/empty"), 0o711))
		p.must(os.Symlink("deep/er/b", p.path(string(c)+"/link")))
		p.must(os.Chmod(p.path(string(c)+"/a"), 0o640))
		p.must(os.Chtimes(p.path(string(c)+"/a"), time.Unix(7, 0), time.Unix(1e9, 123456789)))
	}
	p.space, err = userdata.NewSpace(roots)
	p.must(err)
	p.scan = scan.New(p.space, time.Now, nil)
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

// backUp makes the snapshot of what is there now.
func (p *phone) backUp() {
	p.t.Helper()
	ctx, now := context.Background(), p.look()
	w, err := vault.NewWriter(vault.WriterConfig{
		Key: p.key, Vault: p.id, Mode: vault.Full, Snapshot: vault.NewSnapshotID(), Seq: 1, Now: time.Now().UTC(),
		Put: func(_ context.Context, b vault.Blob) error { p.blobs[b.ID] = b.Sealed; return nil },
	})
	p.must(err)
	for _, it := range now.Manifest.Items() {
		_, err := w.Add(ctx, it, func() (io.ReadCloser, error) { return p.scan.Open(it.Name) })
		p.must(err)
	}
	_, p.dataSet, err = w.Finish(ctx)
	p.must(err)
	p.seen = now.Cache
}

var errLink = fmt.Errorf("%w: the link is gone", reprovision.ErrInterrupted)

func (p *phone) fetch(ctx context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
	for _, id := range ids {
		if p.cutAt == 0 {
			return errLink
		}
		p.cutAt--
		if err := got(id, p.blobs[id]); err != nil {
			return err
		}
		p.fetched = append(p.fetched, id)
	}
	return ctx.Err()
}

func (p *phone) plan(sel reprovision.Selection) reprovision.Plan {
	p.t.Helper()
	now := p.look()
	ref := detect.Reference{Manifest: p.dataSet.Manifest(), Seen: p.seen}
	return reprovision.NewPlan(p.dataSet.Manifest(), now, detect.Judge(p.space, ref, now), sel)
}

func (p *phone) restorer() *reprovision.Restorer {
	q := reprovision.Quarantine{Dir: filepath.Join(p.state, "quarantine"), Max: 1 << 20, Now: time.Now}
	return &reprovision.Restorer{
		Space: p.space, DataSet: p.dataSet, Run: q.Begin(""), Fetch: p.fetch,
		CacheDir: filepath.Join(p.state, "restore"), Log: slog.New(slog.DiscardHandler),
		Open: func(id vault.BlobID, sealed []byte) ([]byte, error) { return vault.OpenPack(p.key, p.id, id, sealed) },
		Hook: func(_ context.Context, c userdata.Class) error { p.hooks = append(p.hooks, string(c)); return nil },
		Reread: func(ctx context.Context, names []userdata.Name) (manifest.Manifest, error) {
			found, err := p.scan.ScanNames(ctx, names, scan.Cache{}, scan.Options{Deep: true})
			return found.Manifest, err
		},
	}
}

// restore carries out a plan and wants it to succeed but for the failures named.
func (p *phone) restore(sel reprovision.Selection, failures ...userdata.Name) reprovision.Result {
	p.t.Helper()
	result, err := p.restorer().Restore(context.Background(), p.plan(sel))
	p.must(err)
	var failed []userdata.Name
	for _, f := range result.Failed {
		failed = append(failed, f.Name)
	}
	slices.Sort(failed)
	if !slices.Equal(failed, failures) {
		p.t.Fatalf("failed: %v", result.Failed)
	}
	if result.Verified+len(failed) != result.Planned {
		p.t.Errorf("%d planned, %d verified, %d failed", result.Planned, result.Verified, len(failed))
	}
	return result
}

// picture lists everything below a directory with all that a restore promises.
func (p *phone) picture(dir string) string {
	p.t.Helper()
	var out strings.Builder
	p.must(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&out, "%s %s %d %s\n", rel, info.Mode(), info.ModTime().UnixNano(), p.body(path, info))
		return nil
	}))
	return out.String()
}

func (p *phone) body(path string, info fs.FileInfo) string {
	p.t.Helper()
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		p.must(err)
		return target
	case info.IsDir():
		return ""
	}
	raw, err := os.ReadFile(path)
	p.must(err)
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// quarantined reads a file back from the quarantine's only run.
func (p *phone) quarantined(name string) (string, error) {
	matches, err := filepath.Glob(filepath.Join(p.state, "quarantine", "*", filepath.FromSlash(name)))
	if err != nil || len(matches) != 1 {
		return "", errors.Join(err, fmt.Errorf("%d files", len(matches)))
	}
	raw, err := os.ReadFile(matches[0])
	return string(raw), err
}
