package device

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// findings remembers the last judgement, for the status, and which damage a
// restore could not mend, so that the daemon does not try again at once for
// ever. It is safe for concurrent use.
type findings struct {
	mu      sync.Mutex
	report  detect.Report
	unsaved int64 // bytes of items that no snapshot has as they are
	told    map[userdata.Name]detect.Verdict
	waiting string                      // for damage
	offer   string                      // data of an earlier device that could be taken over
	wanted  map[userdata.Name]bool      // to be restored by themselves
	failed  map[userdata.Name]time.Time // not before
	wait    time.Duration
	changed chan struct{} // closed when told is another; nil while nobody looks
}

func newFindings() *findings {
	return &findings{told: make(map[userdata.Name]detect.Verdict), failed: make(map[userdata.Name]time.Time)}
}

// retryFirst and retryLast bound the wait before a failed restore is repeated.
const (
	retryFirst = 5 * time.Second
	retryLast  = time.Hour
)

// take keeps a report and returns the damage that was not known before.
func (f *findings) take(seen sight) []detect.Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	report := seen.report
	f.report, f.unsaved = report, unsaved(seen)
	told := make(map[userdata.Name]detect.Verdict)
	var fresh []detect.Finding
	for _, d := range report.Damaged() {
		told[d.Name] = d.Verdict
		if f.told[d.Name] != d.Verdict {
			fresh = append(fresh, d)
		}
	}
	f.told = told
	f.tell()
	if len(told) == 0 {
		f.waiting, f.wait = "", 0
		clear(f.failed)
	}
	return fresh
}

// mended takes note of what was restored: should it be damaged again, that is news.
func (f *findings) mended(verified map[userdata.Name]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range verified {
		delete(f.told, n)
		delete(f.failed, n)
	}
	f.tell()
}

// tell wakes who looks at what is damaged; mu is held.
func (f *findings) tell() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// still is which of some findings are damaged, and a channel that is closed when that
// may be otherwise.
func (f *findings) still(all []detect.Finding) (damaged []detect.Finding, changes <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	for _, d := range all {
		if _, is := f.told[d.Name]; is {
			damaged = append(damaged, d)
		}
	}
	return damaged, f.changed
}

// unsaved sums up the sizes of what no snapshot has as it is.
func unsaved(seen sight) (sum int64) {
	for _, f := range seen.report.Findings {
		if it, there := seen.now.Manifest.Find(f.Name); there && f.Verdict == detect.Changed {
			sum += it.Size
		}
	}
	return sum
}

// want notes what is to be restored by itself, of all that is damaged.
func (f *findings) want(auto []detect.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = make(map[userdata.Name]bool, len(auto))
	for _, d := range auto {
		f.wanted[d.Name] = true
	}
}

// pressing tells whether anything that is to be restored by itself is still damaged, and
// due. Damage that waits for the owner, or for another try, needs no reader now.
func (f *findings) pressing(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.wanted {
		if _, is := f.told[n]; is && !f.failed[n].After(now) {
			return true
		}
	}
	return false
}

func (f *findings) setWaiting(text string) (news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news = f.waiting != text
	f.waiting = text
	return news
}

func (f *findings) setOffer(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offer = text
}

// giveUp notes what could not be restored, to be tried again later.
func (f *findings) giveUp(names []detect.Finding, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(names) == 0 {
		return
	}
	f.wait = min(max(2*f.wait, retryFirst), retryLast)
	for _, n := range names {
		f.failed[n.Name] = now.Add(f.wait)
	}
}

// retry has what could not be restored in some roots tried again at once: why it could not
// may be no more.
func (f *findings) retry(roots []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(roots) == 0 {
		return
	}
	f.wait = 0
	maps.DeleteFunc(f.failed, func(n userdata.Name, _ time.Time) bool { return slices.Contains(roots, n.Root()) })
}

// due leaves out what is to be tried later.
func (f *findings) due(all []detect.Finding, now time.Time) []detect.Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	var due []detect.Finding
	for _, d := range all {
		if !f.failed[d.Name].After(now) {
			due = append(due, d)
		}
	}
	return due
}

// nextRetry fires when the first failed restore is to be tried again.
func (f *findings) nextRetry(now time.Time) (<-chan time.Time, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var first time.Time
	for _, at := range f.failed {
		if at.After(now) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(first.Sub(now))
	return timer.C, func() { timer.Stop() }
}

// hurries tells whether service books or keys are among what is to be tried again by now.
func (f *findings) hurries(space userdata.Space, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, at := range f.failed {
		if c, known := space.ClassOf(n); known && c.Critical() && !at.After(now) {
			return true
		}
	}
	return false
}

func (f *findings) snapshot() (report detect.Report, unsaved int64, waiting string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == "" {
		return f.report, f.unsaved, f.offer
	}
	return f.report, f.unsaved, f.waiting
}

// manyFindings is how many verdicts are told one by one; more are summed up.
const manyFindings = 20

// alike puts findings together that are suspected for one and the same reason, where that of
// a report's are many: they are one event, which may come to light bit by bit.
func alike(fresh, known []detect.Finding) (single []detect.Finding, events [][]detect.Finding) {
	type event struct {
		class  userdata.Class
		reason string
	}
	of := func(f detect.Finding) event { return event{f.Class, f.Reason} }
	all, many := make(map[event][]detect.Finding), make(map[event]int)
	for _, f := range known {
		many[of(f)]++
	}
	for _, f := range fresh {
		if f.Suspected {
			all[of(f)] = append(all[of(f)], f)
		}
	}
	for _, f := range fresh {
		switch same := all[of(f)]; {
		case !f.Suspected || many[of(f)] < detect.Many:
			single = append(single, f)
		case same[0].Name == f.Name:
			events = append(events, same)
		}
	}
	return single, events
}

// publish takes note of a look and tells what is new in it, once.
func (d *Daemon) publish(seen sight) {
	fresh, report := d.findings.take(seen), seen.report
	fresh, events := alike(fresh, report.Damaged())
	for _, all := range events {
		d.event("verdict", map[string]any{
			"class": string(all[0].Class), "verdict": string(all[0].Verdict), "reason": all[0].Reason, "suspected": true,
			"items": int64(len(all)), string(all[0].Verdict): int64(len(all)),
		})
		d.log.Warn("damage suspected", "items", len(all), "class", all[0].Class, "reason", all[0].Reason)
	}
	if len(fresh) > manyFindings {
		d.event("verdict", map[string]any{
			"verdict": "mass loss or damage", "items": int64(len(fresh)),
			"erased": int64(report.Counts[detect.Erased]), "corrupted": int64(report.Counts[detect.Corrupted]),
		})
		d.log.Warn("damage found", "items", len(fresh), "erased", report.Counts[detect.Erased], "corrupted", report.Counts[detect.Corrupted])
		fresh = nil
	}
	for _, f := range fresh {
		d.event("verdict", map[string]any{
			"path": d.space.Path(f.Name), "class": string(f.Class), "verdict": string(f.Verdict), "reason": f.Reason, "suspected": f.Suspected,
		})
		d.log.Warn("damage found", "item", userdata.Printable(string(f.Name)), "verdict", f.Verdict, "reason", f.Reason)
	}
	d.bus.Refresh()
}

// event tells whoever listens on the bus.
func (d *Daemon) event(kind string, fields map[string]any) {
	d.bus.Emit(busapi.Event{
		Time: d.now().Format(time.RFC3339Nano), Side: "device", Event: kind, Fields: fields,
	})
}

// toBus turns findings into what the bus carries.
func (d *Daemon) toBus(all []detect.Finding) []busapi.Finding {
	out := make([]busapi.Finding, 0, len(all))
	for _, f := range all {
		out = append(out, busapi.Finding{
			Path: d.space.Path(f.Name), Class: string(f.Class), Verdict: string(f.Verdict), Reason: f.Reason,
		})
	}
	slices.SortStableFunc(out, func(a, b busapi.Finding) int { return strings.Compare(a.Path, b.Path) })
	return out
}
