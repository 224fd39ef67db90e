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
	Base   *vault.DataSet // the last good data set; nil for none
	Full   bool           // pack every item's contents anew
	Repack [2]bool        // do so for this part only; see Repack
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
	Sent    int                    // items whose contents or metadata are new
	Held    []detect.Finding       // damaged on the device; their last good state is kept
	Skipped []detect.Finding       // could not be read, and were never saved
	Stale   map[userdata.Name]bool // differ from the scan by now; the next backup looks again
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
	}
	return out
}

type filling struct {
	Input
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
	f.total = f.Scan.Manifest.Bytes()
}

// order lists every item that is there or has to be held on to: class by
// class, each directory before what lies in it.
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
	slices.SortFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name)) })
	names := make([]userdata.Name, len(all))
	for i, p := range all {
		names[i] = p.name
	}
	return names
}

func (f *filling) place(ctx context.Context, n userdata.Name) error {
	finding, judged := f.findings[n]
	saved, known := f.saved(n)
	if judged && (finding.Verdict.Damage() || finding.Verdict == detect.Unavailable) {
		return f.hold(finding, saved, known)
	}
	item, there := f.Scan.Manifest.Find(n)
	if !there {
		return nil // deleted: it leaves the data set
	}
	defer f.advance(item.Size)
	if known && !f.Full && !f.Repack[vault.PartOf(item.Class)] && saved.SameContents(item) {
		if !saved.Item.Equal(item) {
			f.result.Sent++
		}
		saved.Item = item
		return f.Writer.Keep(saved)
	}
	return f.add(ctx, item, saved, known)
}

func (f *filling) saved(n userdata.Name) (vault.Entry, bool) {
	if f.Base == nil {
		return vault.Entry{}, false
	}
	return f.Base.Entry(n)
}

// hold keeps the last good state of an item that is damaged or cannot be read.
func (f *filling) hold(finding detect.Finding, saved vault.Entry, known bool) error {
	if !known {
		f.result.Skipped = append(f.result.Skipped, finding)
		return nil
	}
	f.result.Held = append(f.result.Held, finding)
	return f.Writer.Keep(saved)
}

func (f *filling) advance(bytes int64) {
	f.done += bytes
	if f.Progress != nil {
		f.Progress(f.done, f.total)
	}
}

// add packs an item's contents. What is read must be what the scan saw: a file
// that somebody writes to meanwhile keeps its last state until the next backup,
// and is never saved half old and half new.
func (f *filling) add(ctx context.Context, item manifest.Item, saved vault.Entry, known bool) error {
	_, err := f.Writer.Add(ctx, item, func() (io.ReadCloser, error) {
		r, err := f.Open(item.Name)
		if err != nil {
			return nil, &readError{err}
		}
		return &steady{file: r, sum: sha256.New(), want: item.Digest}, nil
	})
	var unreadable *readError
	if errors.As(err, &unreadable) {
		return f.giveUp(item, saved, known)
	}
	if err != nil {
		return fmt.Errorf("cannot save %q: %w", userdata.Printable(string(item.Name)), err)
	}
	f.result.Sent++
	return nil
}

// giveUp leaves an item for the next backup: it changed between scan and read.
func (f *filling) giveUp(item manifest.Item, saved vault.Entry, known bool) error {
	f.Log.Info("item is being written, left for the next backup", "item", userdata.Printable(string(item.Name)))
	return f.hold(detect.Finding{
		Name: item.Name, Class: item.Class, Verdict: detect.Unavailable, Reason: "changed while it was being saved",
	}, saved, known)
}
