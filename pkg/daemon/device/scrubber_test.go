package device

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// badSector is a scanner of a medium that cannot read a file any more. Like the real one
// it opens a file only where the cache does not vouch for it.
type badSector struct {
	*scan.Scanner
	file userdata.Name
}

func (b badSector) ScanNames(ctx context.Context, names []userdata.Name, cache scan.Cache, opts scan.Options) (scan.Result, error) {
	found, err := b.Scanner.ScanNames(ctx, names, cache, opts)
	return b.meet(found, cache, opts.Deep), err
}

func (b badSector) Scan(ctx context.Context, cache scan.Cache, opts scan.Options) (scan.Result, error) {
	found, err := b.Scanner.Scan(ctx, cache, opts)
	return b.meet(found, cache, opts.Deep), err
}

func (b badSector) meet(found scan.Result, cache scan.Cache, deep bool) scan.Result {
	known, is := cache.Get(b.file)
	at, there := found.Manifest.Find(b.file)
	if seen, _ := found.Observed(b.file); !there || is && !deep && known.Settled && known.Observation == seen {
		return found
	}
	gone := func(n userdata.Name) bool { return n == b.file }
	found.Manifest, _ = found.Manifest.Replace(gone, manifest.Manifest{})
	found.Cache = found.Cache.With(cache, []userdata.Name{at.Name}) // as it was known
	found.Problems = append(found.Problems, scan.Problem{Name: b.file, Reason: scan.Unreadable, Err: unix.EIO})
	return found
}

// TestReadErrorOfTheScrub: what the scrub cannot read the look that follows does not take
// for intact, though lstat says what it said.
func TestReadErrorOfTheScrub(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Detect.Settle.Duration = 0
	later := scan.New(r.d.space, func() time.Time { return time.Now().Add(time.Hour) }, detect.Examiner())
	r.d.scanner = later
	r.write("a", "what is on a good sector")
	r.write("b", "what is on a bad one")
	r.backUp()
	r.d.book.blur()
	r.d.scanner = badSector{later, "keys/b"}
	if seen := r.lookAround(); len(seen.report.Damaged()) != 0 {
		t.Fatalf("before the scrub: %v", seen.report.Damaged())
	}
	r.must(r.d.scrub(t.Context()))
	if _, known := r.d.book.cache().Get("keys/a"); !known {
		t.Error("what was read has to be read once more")
	}
	for range 2 {
		r.d.book.blur()
		damaged := r.lookAround().report.Damaged()
		if !slices.Equal(names(damaged), []userdata.Name{"keys/b"}) || damaged[0].Verdict != detect.Corrupted {
			t.Fatalf("after the scrub: %v", damaged)
		}
	}
}

// TestHintsDuringAScrub: a hint that comes between two portions of a scrub leads to a look
// there only, as long as the scrub finds all as it was seen.
func TestHintsDuringAScrub(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Detect.Settle.Duration = 0
	r.d.scanner = scan.New(r.d.space, func() time.Time { return time.Now().Add(time.Hour) }, detect.Examiner())
	for _, n := range []string{"a", "b", "c"} {
		r.write(n, "what is in "+n)
	}
	r.backUp()
	_, err := r.d.book.forget([]userdata.Name{"keys/c"})
	r.must(err)
	r.must(os.Remove(filepath.Join(r.d.cfg.Roots[0].Path, "c"))) // gone before and after
	hint := func(n userdata.Name) sight {
		seen, err := r.d.lookOnce(t.Context(), look{why: "watch", names: []userdata.Name{n}})
		r.must(err)
		return seen
	}
	r.lookAround()
	r.must(r.d.scrub(t.Context()))
	r.write("a", "an edit of it")
	if seen := hint("keys/a"); !seen.partial() || len(seen.report.Findings) != 2 {
		t.Errorf("a hint after a scrub: in part %v, %+v", seen.partial(), seen.report.Findings)
	}
	r.write("b", "an edit that no hint tells of")
	r.must(r.d.scrub(t.Context()))
	if seen := hint("keys/a"); seen.partial() || len(seen.report.Findings) != 3 {
		t.Errorf("after a scrub that found something else: in part %v, %+v", seen.partial(), seen.report.Findings)
	}
}

func (r *rig) lookAround() sight {
	r.Helper()
	seen, err := r.d.lookOnce(r.Context(), look{why: "test"})
	r.must(err)
	return seen
}
