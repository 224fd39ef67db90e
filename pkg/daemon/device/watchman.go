package device

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
)

// request asks the watchman to look.
func (d *Daemon) request(l look) { d.wishes.add(l) }

// watchman looks for damage whenever there is a reason to: at the start, on a
// hint of the watch, at the beginning of a session, after a pairing, and when a
// scrub is through. Nothing wakes it otherwise. While it waits for its turn it
// goes on listening: that of a look that hurries comes sooner.
func (d *Daemon) watchman(ctx context.Context) error {
	defer d.menders.Wait()
	var hints <-chan watch.Hint
	if d.watcher != nil {
		hints = d.watcher.Hints()
	}
	d.request(look{why: "start"})
	var settle <-chan time.Time
	var told news
	var next nextLook
	for {
		retry, stop := d.findings.nextRetry(d.now())
		var l *look
		select {
		case <-ctx.Done():
			stop()
			next.end()
			return ctx.Err()
		case h, open := <-hints:
			if !open || !told.gather(h, hints) {
				hints = nil
			}
			d.findings.retry(told.remounted())
			l = told.look(d.space)
		case <-d.wishes.news:
			l = d.wishes.take()
		case <-settle:
			l, settle = &look{why: whySettled}, nil
		case <-retry:
			l = &look{why: "retry", urgent: d.findings.hurries(d.space, d.now())}
		case <-next.comes():
			settle = d.attend(ctx, next)
			next = nextLook{}
		}
		stop()
		if l != nil {
			d.line(ctx, &next, *l)
		}
	}
}

// nextLook is the look that the watchman makes next, and its place among the operations.
type nextLook struct {
	*ticket // nil while there is nothing to look at
	look    look
}

func (t nextLook) comes() <-chan struct{} {
	if t.ticket == nil {
		return nil
	}
	return t.turn
}

func (t nextLook) end() {
	if t.ticket != nil {
		t.ticket.end()
	}
}

// line queues up for a look, or adds it to the one that waits. What was cut short comes
// first: a look would find that damaged.
func (d *Daemon) line(ctx context.Context, next *nextLook, l look) {
	if next.ticket == nil {
		d.resume(ctx)
		d.settleLater(ctx)
		*next = nextLook{d.ops.enter(activityCheck, l.rank()), l}
		return
	}
	before := next.look.rank()
	if next.look = next.look.with(l); next.look.rank() < before {
		next.become(next.look.rank())
	}
}

// attend looks once and acts on what it finds. What was written lately is worth
// one more look when it has been left alone for a while: only then is it known
// well enough for a silent change to be told from an edit. So is everything else
// after a look at a part. The channel fires when that is; it is nil when there is
// nothing of the kind.
func (d *Daemon) attend(ctx context.Context, t nextLook) <-chan time.Time {
	seen, err := d.inspect(ctx, t.look)
	var auto []detect.Finding
	if err == nil {
		auto = d.act(seen)
	} else if ctx.Err() == nil {
		d.log.Error("cannot look after the user data", "why", t.look.why, "error", err)
	}
	if len(auto) > 0 {
		run := d.mending(auto)
		run.ticket = t.ticket
		d.behind(run, func() { d.mendBehind(ctx, run, auto) })
	} else {
		t.end()
	}
	if t.look.why == whySettled || err == nil && !seen.partial() && !d.book.cache().Unsettled() {
		return nil
	}
	return time.After(scan.DefaultSettle + time.Second)
}

func (d *Daemon) lookOnce(ctx context.Context, l look) (sight, error) {
	t, err := d.ops.begin(ctx, activityCheck, l.rank())
	if err != nil {
		return sight{}, err
	}
	defer t.end()
	return d.inspect(ctx, l)
}

// sight is one look at the user-data space: what is there, and what it is worth.
type sight struct {
	view
	report detect.Report
}

// glimpse is what a look saw before there was anything to judge it by, and when it was through.
type glimpse struct {
	now scan.Result
	at  time.Time
}

// glimpse looks at the whole space, and judges nothing.
func (d *Daemon) glimpse(ctx context.Context) (*glimpse, error) {
	now, err := d.scanner.Scan(ctx, d.book.cache(), scan.Options{Hands: runtime.GOMAXPROCS(0)})
	if err != nil {
		return nil, err
	}
	return &glimpse{now: now, at: time.Now()}, nil
}

// tries bounds how often inspect looks before it says what it has.
const tries = 5

// inspect scans and judges. Damage is believed once two looks in a row agree on
// it, the settling time apart.
func (d *Daemon) inspect(ctx context.Context, l look) (sight, error) {
	return d.inspectAfter(ctx, nil, l)
}

// inspectAfter is inspect; where something else took the settling time, with what was there
// before that as the first of the two looks. nil for none.
func (d *Daemon) inspectAfter(ctx context.Context, before *glimpse, l look) (sight, error) {
	defer d.thrift.begin()()
	reading := d.book.reading()
	seen, err := d.glance(ctx, l, d.book.cache())
	first, at := seen.report, time.Now()
	if before != nil && err == nil {
		first, at = detect.Judge(d.space, d.book.reference(), before.now), before.at
	}
	var confirmed []detect.Finding
	for try := 0; err == nil && try < tries && len(confirmed) < len(seen.report.Damaged()); try++ {
		if wait := d.cfg.Detect.Settle.Duration - time.Since(at); wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return sight{}, err
			}
			seen, err = d.again(ctx, seen)
		}
		if err == nil {
			confirmed = detect.Confirm(first, seen.report)
			first, at = seen.report, time.Now()
		}
	}
	if err != nil {
		d.book.blur() // what this look was for the next one has to see
		return sight{}, err
	}
	seen.report = seen.report.Only(confirmed)
	seen.report = seen.report.Withhold(d.beingWritten(seen), "a program is writing it")
	if err := d.book.observe(seen, reading); err != nil {
		d.log.Error("cannot write down what was found", "error", err)
	}
	d.publish(seen)
	return seen, nil
}

// beingWritten are the corrupted files that some program has open for writing: it
// may be in the middle of its work, and to put another file in the place of one that
// is in use would lose what the program writes. When it closes the file there is
// another look.
func (d *Daemon) beingWritten(seen sight) map[userdata.Name]bool {
	open := make(map[userdata.Name]bool)
	for _, f := range seen.report.Damaged() {
		at, isFile := seen.now.Observed(f.Name)
		if f.Verdict == detect.Corrupted && isFile && len(open) < fewNames && d.scanner.Writing(f.Name, at) {
			open[f.Name] = true
		}
	}
	return open
}

// glance scans, or where it is known what happened looks there only, and judges once.
func (d *Daemon) glance(ctx context.Context, l look, cache scan.Cache) (sight, error) {
	v, err := d.refresh(ctx, l)
	if err == nil && v == nil {
		v = new(view)
		d.book.blur() // the old view need not be in memory beside the new one
		start := time.Now()
		v.now, err = d.scanner.Scan(ctx, cache, scan.Options{Deep: l.deep, DeepCritical: l.critical, Hands: runtime.GOMAXPROCS(0), Progress: d.lookedThrough(l)})
		v.took = time.Since(start)
	}
	if err != nil {
		return sight{}, err
	}
	return sight{*v, detect.Judge(d.space, d.book.reference(), v.now)}, nil
}

// fewNames is up to how many items are looked at one by one.
const fewNames = 500

// again looks once more at what seems to be damaged. Where something is gone, it
// looks everywhere: it may have come back under another name, in another root, and the
// hint of that may be on its way.
func (d *Daemon) again(ctx context.Context, seen sight) (sight, error) {
	damaged := seen.report.Damaged()
	cache := seen.now.Cache.With(scan.Cache{}, names(damaged))
	gone := func(f detect.Finding) bool { return f.Verdict == detect.Erased }
	if len(damaged) > fewNames || slices.ContainsFunc(damaged, gone) {
		return d.glance(ctx, look{}, cache)
	}
	at := names(damaged)
	part, err := d.scanner.ScanNames(ctx, at, cache, scan.Options{})
	if err != nil {
		return sight{}, err
	}
	v := seen.view
	if v.now, err = seen.now.With(at, part); err != nil {
		return sight{}, err
	}
	return sight{v, detect.Judge(d.space, d.book.reference(), v.now)}, nil
}

func names(findings []detect.Finding) []userdata.Name {
	out := make([]userdata.Name, len(findings))
	for i, f := range findings {
		out[i] = f.Name
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
