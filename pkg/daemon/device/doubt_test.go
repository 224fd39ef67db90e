package device

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// suspects are the names of what a look suspects, and of what it is sure of.
func suspects(seen sight) (doubted, sure []userdata.Name) {
	for _, f := range seen.report.Damaged() {
		if f.Suspected {
			doubted = append(doubted, f.Name)
		} else {
			sure = append(sure, f.Name)
		}
	}
	return doubted, sure
}

// rot has the book hold that a file, as it lies there, was last found with other contents.
func (r *rig) rot(names ...userdata.Name) {
	r.Helper()
	for _, n := range names {
		e, known := r.d.book.found.Get(n)
		raw, err := r.d.book.found.Marshal()
		r.must(err)
		at := strings.Index(string(raw), string(e.Digest[:]))
		if !known || at < 0 {
			r.Fatalf("%s is not known", n)
		}
		raw[at] ^= 1
		r.must(r.d.book.found.Unmarshal(raw))
	}
	r.d.book.blur()
}

// TestRotBeforeTheBackup: what changes silently after an edit, or in a new file, is held back
// from the snapshot and asked about, never put back by itself, also after a restart. What
// ends it is the owner's word.
func TestRotBeforeTheBackup(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Detect.Settle.Duration, r.d.cfg.Reprovision.Keys = 0, config.Restore
	r.d.scanner = scan.New(r.d.space, func() time.Time { return time.Now().Add(time.Hour) }, detect.Examiner())
	r.write("edited", "as it was saved\n")
	first := r.backUp()
	r.write("edited", "as it was edited\n")
	r.write("new", "as it was made\n")
	if doubted, sure := suspects(r.lookAround()); len(doubted)+len(sure) > 0 {
		t.Fatalf("edits: %v, %v", doubted, sure)
	}
	both := []userdata.Name{"keys/edited", "keys/new"}
	r.rot(both...)
	seen := r.lookAround()
	if doubted, sure := suspects(seen); !slices.Equal(doubted, both) || len(sure) > 0 {
		t.Fatalf("got %v and %v", doubted, sure)
	}
	if auto := r.d.act(seen); len(auto) > 0 {
		t.Errorf("restored by themselves: %v", auto)
	}
	if ask := <-r.d.asks; !slices.Equal(names(ask), both[:1]) {
		t.Errorf("asked about %v", ask)
	}
	saved := r.backUp()
	if len(saved.Held) != 1 || saved.Snapshot != first.Snapshot {
		t.Errorf("the backup is %+v", saved)
	}
	again := openBook(r.d.state, slog.New(slog.DiscardHandler))
	r.must(r.d.book.save())
	for _, b := range []*book{again, openBook(r.d.state, slog.New(slog.DiscardHandler))} {
		r.d.book = b
		if doubted, _ := suspects(r.lookAround()); !slices.Equal(doubted, both) {
			t.Errorf("after a restart: %v", doubted)
		}
	}
	if n, err := r.d.Forget(t.Context(), []string{filepath.Join(r.d.cfg.Roots[0].Path, "new")}); n != 1 || err != nil {
		t.Errorf("forget: %d, %v", n, err)
	}
	r.write("edited", "edited once more\n")
	if saved = r.backUp(); len(saved.Held)+len(saved.Skipped) != 0 || saved.Items != 3 || len(r.lookAround().report.Findings) > 0 {
		t.Errorf("in the end: %+v", saved)
	}
}

// TestScrubReadsWhatIsNew: a scrub finds what nobody wrote in files that no snapshot has yet.
func TestScrubReadsWhatIsNew(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Detect.Settle.Duration = 0
	later := scan.New(r.d.space, func() time.Time { return time.Now().Add(time.Hour) }, detect.Examiner())
	r.d.scanner = later
	r.write("a", "saved")
	r.backUp()
	r.write("new", "and not saved")
	r.lookAround()
	r.d.scanner = badSector{later, "keys/new"}
	r.must(r.d.scrub(t.Context()))
	r.d.book.blur()
	if f, found := r.lookAround().report.Find("keys/new"); !found || f.Verdict != detect.Unavailable {
		t.Errorf("found %v: %+v", found, f)
	}
}

// TestOtherThanScanned: what turns out to be other when it is saved is looked at anew.
func TestOtherThanScanned(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Detect.Settle.Duration = 0
	r.d.scanner = scan.New(r.d.space, func() time.Time { return time.Now().Add(time.Hour) }, detect.Examiner())
	r.write("a", "saved")
	r.backUp()
	r.write("new", "and not saved")
	r.lookAround()
	e, _ := r.d.book.last.Get("keys/new")
	raw, err := r.d.book.last.Marshal()
	r.must(err)
	raw[strings.Index(string(raw), string(e.Digest[:]))] ^= 1
	r.must(r.d.book.last.Unmarshal(raw)) // the scan trusts it
	r.must(r.d.book.found.Unmarshal(raw))
	r.d.book.blur()
	if saved := r.backUp(); len(saved.Skipped) != 1 {
		t.Errorf("the first backup: %+v", saved)
	}
	if doubted, _ := suspects(r.lookAround()); !slices.Equal(doubted, []userdata.Name{"keys/new"}) {
		t.Errorf("doubted are %v", doubted)
	}
}

// TestSuspectedPlan: what is only suspected is restored on the owner's word alone.
func TestSuspectedPlan(t *testing.T) {
	r := newRig(t)
	r.write("a", "saved")
	r.backUp()
	seen := r.lookAround()
	report := detect.Report{Findings: []detect.Finding{{Name: "keys/a", Class: userdata.Keys, Verdict: detect.Corrupted, Suspected: true}}}
	only := map[userdata.Name]bool{"keys/a": true}
	for what, c := range map[string]struct {
		sel  reprovision.Selection
		want int
	}{
		"by itself":      {reprovision.Selection{Names: only, Damage: true}, 0},
		"all that is":    {reprovision.Selection{}, 1},
		"asked about":    {reprovision.Selection{Names: only, Damage: true, Suspected: true}, 1},
		"named":          {reprovision.Selection{Below: []userdata.Name{"keys"}, Overwrite: true}, 1},
		"of a snapshot":  {reprovision.Selection{Overwrite: true}, 1},
		"another's name": {reprovision.Selection{Below: []userdata.Name{"keys/b"}, Overwrite: true}, 0},
	} {
		plan := reprovision.NewPlan(r.d.book.current().Manifest(), seen.now, report, c.sel)
		if len(plan.Actions) != c.want {
			t.Errorf("%s: %d actions", what, len(plan.Actions))
		}
	}
}

// TestAlike: many items of one event are told of as one, whatever else there is.
func TestAlike(t *testing.T) {
	var fresh []detect.Finding
	for i := range detect.Many {
		fresh = append(fresh,
			detect.Finding{Name: userdata.Name(fmt.Sprintf("keys/%d", i)), Class: userdata.Keys, Suspected: true, Reason: "one event"},
			detect.Finding{Name: userdata.Name(fmt.Sprintf("user-data/%d", i)), Class: userdata.UserData, Reason: "no event"})
	}
	fresh = append(fresh, detect.Finding{Name: "keys/x", Class: userdata.Keys, Suspected: true, Reason: "another"})
	single, events := alike(fresh, fresh)
	if len(single) != detect.Many+1 || len(events) != 1 || len(events[0]) != detect.Many {
		t.Errorf("%d single ones, %d events", len(single), len(events))
	}
	if single, events = alike(fresh[:4], fresh[:4]); len(single) != 4 || len(events) != 0 {
		t.Errorf("few: %d single ones, %d events", len(single), len(events))
	}
	if single, events = alike(fresh[:4], fresh); len(single) != 2 || len(events) != 1 {
		t.Errorf("more of an event: %d single ones, %d events", len(single), len(events))
	}
}

// TestCrash: that the system went down is told from an end of the daemon alone, orderly or not.
func TestCrash(t *testing.T) {
	open := func(st *state, b boot) *book {
		book := openBook(st, slog.New(slog.DiscardHandler))
		if err := book.begin(b); err != nil {
			t.Fatal(err)
		}
		return book
	}
	st, err := openState(t.TempDir(), time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.close() }()
	open(st, boot{"a", 1})
	b := open(st, boot{"a", 1}) // it was killed
	if b.crashed != 0 {
		t.Error("the daemon alone ended")
	}
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	if b = open(st, boot{"b", 2}); b.crashed != 0 {
		t.Error("an orderly end is a crash")
	}
	if b = open(st, boot{"c", 3}); b.crashed != 3 {
		t.Errorf("the crash is at %d", b.crashed)
	}
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	if b = open(st, boot{"d", 4}); b.reference().Crashed != 3 {
		t.Errorf("the crash is forgotten: %d", b.crashed)
	}
	if s, err := systemStart(time.Now()); err != nil || s.id == "" || s.at <= 0 || s.at >= time.Now().UnixNano() {
		t.Errorf("this system: %+v, %v", s, err)
	}
}
