package detect_test

import (
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// findings are by name what a judgement says, with the last look at hand.
func (p *phone) findings(last scan.Cache) (map[userdata.Name]detect.Finding, detect.Report) {
	p.t.Helper()
	p.ref.Last = last
	report := p.judge()
	all := make(map[userdata.Name]detect.Finding)
	for _, f := range report.Findings {
		all[f.Name] = f
	}
	return all, report
}

// pretend makes the cache say that a file, as it was observed, held something else.
func pretend(t *testing.T, seen scan.Cache, n userdata.Name, settled bool) scan.Cache {
	t.Helper()
	raw, err := seen.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	e, known := seen.Get(n)
	if !known {
		t.Fatalf("%s is not known", n)
	}
	at := strings.Index(string(raw), string(e.Digest[:]))
	raw[at] ^= 1
	var out scan.Cache
	if err := out.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	if e, _ = out.Get(n); e.Settled != settled {
		t.Fatalf("%s: settled %v", n, e.Settled)
	}
	return out
}

// TestAlteredAfterAnEdit: what nobody wrote is damage in work that no snapshot has, too. It is
// the owner's to say what becomes of it.
func TestAlteredAfterAnEdit(t *testing.T) {
	p := newKnowingPhone(t)
	for _, n := range []userdata.Name{"keys/notes.txt", "user-data/fresh.txt", "service-books/home.nmconnection"} {
		p.write(string(n), "a new version of "+string(n)+"\n")
	}
	last := p.look().Cache
	if all, _ := p.findings(last); len(all) != 3 || all["keys/notes.txt"].Verdict != detect.Changed {
		t.Fatalf("edits are %+v", all)
	}
	for _, n := range []userdata.Name{"keys/notes.txt", "user-data/fresh.txt"} {
		last = pretend(t, last, n, true)
	}
	all, report := p.findings(last)
	for n, why := range map[userdata.Name]string{"keys/notes.txt": "edited since", "user-data/fresh.txt": "new since"} {
		f := all[n]
		if f.Verdict != detect.Corrupted || !f.Suspected || !strings.Contains(f.Reason, why) || !report.Silent[n] {
			t.Errorf("%s: %+v", n, f)
		}
	}
	if f := all["service-books/home.nmconnection"]; f.Verdict != detect.Changed || report.Counts[detect.Corrupted] != 2 {
		t.Errorf("left alone: %+v, %v", f, report.Counts)
	}
	p.ref.Forgotten = func(n userdata.Name) bool { return strings.HasPrefix(string(n), "user-data") }
	if all, _ = p.findings(last); all["user-data/fresh.txt"].Verdict != detect.Changed || all["user-data/fresh.txt"].Suspected {
		t.Errorf("forgotten: %+v", all["user-data/fresh.txt"])
	}
	p.write("keys/notes.txt", "yet another\n")
	if all, _ = p.findings(last); all["keys/notes.txt"].Verdict != detect.Changed {
		t.Errorf("written again: %+v", all["keys/notes.txt"])
	}
}

// TestAlteredBackToTheSaved: a write that the medium lost is damage, though what lies there is
// what was saved once.
func TestAlteredBackToTheSaved(t *testing.T) {
	p := newKnowingPhone(t)
	now := p.look()
	last := pretend(t, now.Cache, "keys/notes.txt", true)
	if all, _ := p.findings(last); !all["keys/notes.txt"].Suspected {
		t.Errorf("%+v", all)
	}
}

// TestAlteredTooSoon: of a file that had been written to lately nobody can tell.
func TestAlteredTooSoon(t *testing.T) {
	p := newPhone(t) // whose clock stands still
	p.write("keys/a", "a new version\n")
	last := pretend(t, p.look().Cache, "keys/a", false)
	if all, _ := p.findings(last); all["keys/a"].Verdict != detect.Changed {
		t.Errorf("%+v", all)
	}
}
