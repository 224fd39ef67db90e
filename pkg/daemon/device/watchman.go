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

// look is a reason to look for damage.
type look struct {
	why      string
	deep     bool // read every byte of everything
	critical bool // read every byte of the service books and keys
	// names are where something has happened; none stands for anywhere.
	names []userdata.Name
}

// request asks the watchman to look. When it is busy with several looks already
// one of those will see what this one would.
func (d *Daemon) request(l look) {
	select {
	case d.looks <- l:
	default:
	}
}

// watchman looks for damage whenever there is a reason to: at the start, on a
// hint of the watch, at the beginning of a session, after a pairing, and when a
// scrub is through. Nothing wakes it otherwise.
func (d *Daemon) watchman(ctx context.Context) error {
	var hints <-chan watch.Hint
	if d.watcher != nil {
		hints = d.watcher.Hints()
	}
	d.request(look{why: "start"})
	var settle <-chan time.Time
	var told news
	for {
		retry, stop := d.findings.nextRetry(d.now())
		var l look
		select {
		case <-ctx.Done():
			stop()
			return ctx.Err()
		case h, open := <-hints:
			if !open || !told.gather(h, hints) {
				hints = nil
			}
			l = told.look(d.space)
		case l = <-d.looks:
		case <-settle:
			l = look{why: "settled"}
		case <-retry:
			l = look{why: "retry"}
		}
		stop()
		settle = d.attend(ctx, l)
	}
}

// attend looks once and acts on what it finds. What was written lately is worth
// one more look when it has been left alone for a while: only then is it known
// well enough for a silent change to be told from an edit. So is everything else
// after a look at a part. The channel fires when that is; it is nil when there is
// nothing of the kind.
func (d *Daemon) attend(ctx context.Context, l look) <-chan time.Time {
	d.resume(ctx)
	d.settleLater(ctx)
	seen, err := d.lookOnce(ctx, l)
	if err == nil && len(seen.report.Damaged()) > 0 {
		err = d.act(ctx, seen)
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error("cannot look after the user data", "why", l.why, "error", err)
	}
	if l.why == "settled" || err == nil && !seen.partial() && !d.book.cache().Unsettled() {
		return nil
	}
	return time.After(scan.DefaultSettle + time.Second)
}

func (d *Daemon) lookOnce(ctx context.Context, l look) (sight, error) {
	end, err := d.ops.begin(ctx, activityCheck)
	if err != nil {
		return sight{}, err
	}
	defer end()
	return d.inspect(ctx, l)
}

// sight is one look at the user-data space: what is there, and what it is worth.
type sight struct {
	view
	report detect.Report
}

// tries bounds how often inspect looks before it says what it has.
const tries = 5

// inspect scans and judges. Damage is believed once two looks in a row agree on
// it, the settling time apart.
func (d *Daemon) inspect(ctx context.Context, l look) (sight, error) {
	defer d.thrift.begin()()
	reading := d.book.reading()
	seen, err := d.glance(ctx, l, d.book.cache())
	var confirmed []detect.Finding
	for try := 0; err == nil && try < tries && len(confirmed) < len(seen.report.Damaged()); try++ {
		if err := sleep(ctx, d.cfg.Detect.Settle.Duration); err != nil {
			return sight{}, err
		}
		earlier := seen
		if seen, err = d.again(ctx, earlier); err == nil {
			confirmed = detect.Confirm(earlier.report, seen.report)
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
		v.now, err = d.scanner.Scan(ctx, cache, scan.Options{Deep: l.deep, DeepCritical: l.critical, Hands: runtime.GOMAXPROCS(0)})
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
