package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Input is what one backup starts from.
type Input struct {
	Writer *vault.Writer
	Base   *vault.DataSet        // the last good data set; nil for none
	Full   bool                  // pack every item's contents anew
	Repack [2]bool               // do so for this part only; see Repack
	Lost   map[vault.BlobID]bool // blobs of Base that the reader has to be sent again, as the writer's
	Scan   scan.Result
	Report detect.Report // of the scan against Base
	// Open opens an item's file for reading, by no path that a symlink bends.
	Open func(userdata.Name) (io.ReadCloser, error)
	// Progress is told how many bytes of contents were looked through.
	Progress func(done, total int64)
	Log      *slog.Logger
}

// Result is what went into the data set, beside what the writer returns.
type Result struct {
	Sent    int              // items whose contents or metadata are new
	Held    []detect.Finding // damaged or not readable on the device; their last good state is kept
	Skipped []detect.Finding // not readable, or not fit for a data set, and no state of them is at the reader
	Other   []userdata.Name  // files that held other contents when they were read than the scan said
}

// Fill puts the items of the scan into the writer, in the order of a restore.
// What is damaged on the device never takes the place of its last good state.
func Fill(ctx context.Context, in Input) (Result, error) {
	f := &filling{Input: in}
	f.index()
	for _, n := range f.order() {
		if err := ctx.Err(); err != nil {
			return f.result, err
		}
		if err := f.place(ctx, n); err != nil {
			return f.result, err
		}
	}
	return f.result, nil
}

// Beyond these a part is packed anew, so that the card does not fill up with
// what no item needs any more.
const (
	maxWaste = 0.5 // share of a part's bytes
	maxPacks = 16  // of the critical part, whose reads from a card cost most
)

// Repack tells which parts of a data set are better packed anew by the next.
func Repack(base *vault.DataSet) [2]bool {
	var out [2]bool
	if base == nil {
		return out
	}
	for _, p := range vault.Parts() {
		dead, packs := base.Waste(p)
		out[p] = dead > maxWaste || p == vault.Critical && packs > maxPacks
		out[p] = out[p] && base.Unproven() == 0 // what is not can be kept only where it stands
	}
	return out
}

type filling struct {
	Input
	space    map[string]bool        // the roots that were scanned
	dirs     map[userdata.Name]bool // in the new data set
	findings map[userdata.Name]detect.Finding
	result   Result
	done     int64
	total    int64
}

func (f *filling) index() {
	f.findings = make(map[userdata.Name]detect.Finding, len(f.Report.Findings))
	for _, finding := range f.Report.Findings {
		f.findings[finding.Name] = finding
	}
	f.space, f.dirs = make(map[string]bool), make(map[userdata.Name]bool)
	for _, r := range f.Scan.Roots {
		f.space[r.Name] = true
	}
	f.total = f.Scan.Manifest.Bytes()
}

// order lists every item that is there or has to be held on to: class by
// class, each directory before what lies in it. What the base has of roots that
// the settings do not name (any more) is held on to as well: nobody has said
// that it may go.
func (f *filling) order() []userdata.Name {
	type place struct {
		name userdata.Name
		rank int
	}
	var all []place
	for _, it := range f.Scan.Manifest.Items() {
		all = append(all, place{it.Name, it.Class.Rank()})
	}
	for _, finding := range f.Report.Findings {
		if _, there := f.Scan.Manifest.Find(finding.Name); !there {
			all = append(all, place{finding.Name, finding.Class.Rank()})
		}
	}
	if f.Base != nil {
		for _, it := range f.Base.Manifest().Items() {
			if !f.space[it.Name.Root()] {
				all = append(all, place{it.Name, it.Class.Rank()})
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name)) })
	names := make([]userdata.Name, len(all))
	for i, p := range all {
		names[i] = p.name
	}
	return names
}

func (f *filling) place(ctx context.Context, n userdata.Name) error {
	saved, known := f.saved(n)
	if !f.space[n.Root()] {
		return f.keep(saved)
	}
	finding, judged := f.findings[n]
	if judged && (finding.Verdict.Damage() || finding.Verdict == detect.Unavailable) {
		return f.hold(finding, saved, known)
	}
	item, there := f.Scan.Manifest.Find(n)
	if !there {
		return nil // deleted: it leaves the data set
	}
	defer f.advance(item.Size)
	if !item.Name.IsRoot() && !f.dirs[item.Name.Parent()] {
		return f.giveUp(item, "its directory cannot be read", saved, known)
	}
	if known && f.carries(saved, item) {
		if !saved.Item.Equal(item) {
			f.result.Sent++
		}
		saved.Item = item
		return f.keep(saved)
	}
	return f.add(ctx, item, saved, known)
}

// carries tells whether the contents that the base has will do.
func (f *filling) carries(saved vault.Entry, item manifest.Item) bool {
	part := vault.PartOf(item.Class)
	return !f.Full && !f.Repack[part] && !saved.In(f.Lost) && vault.Together(saved.Class, item.Class) && saved.SameContents(item)
}

// keep carries an entry of the base over. One of which nobody knows what it is to be
// can be left out only, and that is said; older snapshots still have it.
func (f *filling) keep(saved vault.Entry) error {
	_, err := f.kept(saved)
	return err
}

func (f *filling) kept(saved vault.Entry) (bool, error) {
	err := f.Writer.Keep(saved)
	if errors.Is(err, vault.ErrUnproven) {
		f.result.Skipped = append(f.result.Skipped, detect.Finding{
			Name: saved.Name, Class: saved.Class, Verdict: detect.Unavailable,
			Reason: "what the reader has of it cannot be read, and it is not here to be saved anew",
		})
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f.placed(saved.Item)
	return true, nil
}

func (f *filling) placed(it manifest.Item) {
	if it.Type == manifest.Dir {
		f.dirs[it.Name] = true
	}
}

func (f *filling) saved(n userdata.Name) (vault.Entry, bool) {
	if f.Base == nil {
		return vault.Entry{}, false
	}
	return f.Base.Entry(n)
}

// hold keeps the last good state of an item that is damaged or cannot be read.
// What the base has of an item whose root changed its class to one of the other
// part cannot be kept: the parts share no pack.
func (f *filling) hold(finding detect.Finding, saved vault.Entry, known bool) error {
	if known && vault.PartOf(saved.Class) == vault.PartOf(finding.Class) {
		saved.Class = finding.Class
		kept, err := f.kept(saved)
		if kept {
			f.result.Held = append(f.result.Held, finding)
		}
		return err
	}
	f.result.Skipped = append(f.result.Skipped, finding)
	return nil
}

func (f *filling) advance(bytes int64) {
	f.done += bytes
	if f.Progress != nil {
		f.Progress(f.done, f.total)
	}
}

// add packs an item's contents. What is read must be what the scan saw: a file
// that somebody writes to meanwhile keeps its last state until the next backup,
// and is never saved half old and half new. An item that no data set can hold
// costs no other item its backup.
func (f *filling) add(ctx context.Context, item manifest.Item, saved vault.Entry, known bool) error {
	_, err := f.Writer.Add(ctx, item, func() (io.ReadCloser, error) {
		r, err := f.Open(item.Name)
		if err != nil {
			return nil, &readError{err}
		}
		return &steady{file: r, sum: sha256.New(), want: item.Digest}, nil
	})
	var unreadable *readError
	switch {
	case errors.As(err, &unreadable):
		f.result.Other = append(f.result.Other, item.Name)
		return f.giveUp(item, "changed while it was being saved", saved, known)
	case errors.Is(err, vault.ErrTooLarge), errors.Is(err, vault.ErrDataSet):
		return f.giveUp(item, "cannot be saved: "+err.Error(), saved, known)
	case err != nil:
		return fmt.Errorf("cannot save %q: %w", userdata.Printable(string(item.Name)), err)
	}
	f.placed(item)
	f.result.Sent++
	return nil
}

// giveUp leaves an item for a later backup, with its last state if there is one.
func (f *filling) giveUp(item manifest.Item, why string, saved vault.Entry, known bool) error {
	f.Log.Info("item left for a later backup", "item", userdata.Printable(string(item.Name)), "reason", why)
	return f.hold(detect.Finding{Name: item.Name, Class: item.Class, Verdict: detect.Unavailable, Reason: why}, saved, known)
}
