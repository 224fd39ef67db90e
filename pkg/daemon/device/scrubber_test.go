package device

import (
	"context"
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

func (r *rig) lookAround() sight {
	r.Helper()
	seen, err := r.d.lookOnce(r.Context(), look{why: "test"})
	r.must(err)
	return seen
}
