package device

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// history is what the reader keeps of this device, as listed at one time.
type history struct {
	*Daemon
	session *session.Session
	vault   opened
	list    []session.Snapshot
}

func (d *Daemon) history(ctx context.Context) (history, error) {
	list, v, s, err := d.snapshots(ctx)
	return history{Daemon: d, session: s, vault: v, list: list}, err
}

// open reads the data set of a snapshot that a caller named.
func (h history) open(ctx context.Context, name string) (*vault.DataSet, error) {
	want, err := parseSnapshot(name)
	if err != nil {
		return nil, err
	}
	if ds := h.book.current(); ds != nil && ds.Header().Snapshot == want {
		return ds, nil
	}
	for _, snap := range h.list {
		if vault.SnapshotID(snap.ID) == want {
			return h.load(ctx, h.session, h.vault, snap)
		}
	}
	return nil, fmt.Errorf("%w: the reader has no snapshot %s", busapi.ErrInvalidArguments, want)
}

// SnapshotItems lists the items of one snapshot.
func (d *Daemon) SnapshotItems(ctx context.Context, id string) ([]busapi.ItemInfo, error) {
	h, err := d.history(ctx)
	if err != nil {
		return nil, translate(err)
	}
	ds, err := h.open(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	return d.items(ds), nil
}

// SnapshotDiff tells how a second snapshot differs from a first.
func (d *Daemon) SnapshotDiff(ctx context.Context, from, to string) ([]busapi.ItemChange, error) {
	h, err := d.history(ctx)
	if err != nil {
		return nil, translate(err)
	}
	a, err := h.open(ctx, from)
	if err != nil {
		return nil, translate(err)
	}
	b, err := h.open(ctx, to)
	if err != nil {
		return nil, translate(err)
	}
	return d.changes(a.Manifest(), b.Manifest()), nil
}

func (d *Daemon) changes(a, b manifest.Manifest) []busapi.ItemChange {
	var out []busapi.ItemChange
	delta := manifest.Diff(a, b)
	for _, n := range delta.Removed {
		it, _ := a.Find(n)
		out = append(out, busapi.ItemChange{Path: d.path(n), Class: string(it.Class), Type: it.Type.String(), Change: "removed", Was: it.Size})
	}
	for _, it := range delta.Put {
		c := busapi.ItemChange{Path: d.path(it.Name), Class: string(it.Class), Type: it.Type.String(), Change: "added", Size: it.Size}
		if was, there := a.Find(it.Name); there {
			c.Change, c.Was = "changed", was.Size
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b busapi.ItemChange) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// path is where an item lies on this device; its name where its root does not.
func (d *Daemon) path(n userdata.Name) string {
	if p := d.space.Path(n); p != "" {
		return p
	}
	return string(n)
}
