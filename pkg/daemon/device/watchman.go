package device

import (
	"context"
	"errors"
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
	begun    bool // a session has begun: compare notes with the reader first
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
// hint of the watch, at the beginning of a session, after a pairing, and from
// time to time. Nothing wakes it otherwise.
func (d *Daemon) watchman(ctx context.Context) error {
	var hints <-chan watch.Hint
	if d.watcher != nil {
		hints = d.watcher.Hints()
	}
	d.request(look{why: "start"})
	for {
		scrub, stopScrub := d.nextScrub()
		retry, stopRetry := d.findings.nextRetry(d.now())
		select {
		case <-ctx.Done():
			stopScrub()
			stopRetry()
			return ctx.Err()
		case _, open := <-hints:
			if !open {
				hints = nil
				continue
			}
			d.attend(ctx, look{why: "watch"})
		case l := <-d.looks:
			d.attend(ctx, l)
		case <-scrub:
			d.attend(ctx, look{why: "scrub", deep: true})
		case <-retry:
			d.attend(ctx, look{why: "retry"})
		}
		stopScrub()
		stopRetry()
	}
}

// nextScrub fires when every byte is due to be read again. It counts from the
// last scrub that was finished, so that restarts neither skip nor repeat one.
func (d *Daemon) nextScrub() (<-chan time.Time, func()) {
	every := d.cfg.Detect.ScrubEvery.Duration
	if every == 0 {
		return nil, func() {}
	}
	var last int64
	if _, err := d.state.load(keyScrubbed, &last); err != nil {
		d.log.Warn("cannot tell when the last scrub was", "error", err)
	}
	wait := min(max(time.Unix(last, 0).Add(every).Sub(d.now()), 0), every)
	timer := time.NewTimer(wait)
	return timer.C, func() { timer.Stop() }
}

// attend looks once and acts on what it finds.
func (d *Daemon) attend(ctx context.Context, l look) {
	if l.begun {
		d.greet(ctx)
	}
	seen, err := d.lookOnce(ctx, l)
	if err == nil && len(seen.report.Damaged()) > 0 {
		err = d.act(ctx, seen)
	}
	if err == nil {
		err = d.resume(ctx)
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error("cannot look after the user data", "why", l.why, "error", err)
	}
}

func (d *Daemon) lookOnce(ctx context.Context, l look) (sight, error) {
	end, err := d.ops.begin(ctx, activityCheck)
	if err != nil {
		return sight{}, err
	}
	defer end()
	seen, err := d.inspect(ctx, l)
	if err == nil && l.deep {
		err = errors.Join(d.state.store(keyScrubbed, d.now().Unix()), d.book.save(), d.quarantine.Expire())
	}
	return seen, err
}

// sight is one look at the user-data space: what is there, and what it is worth.
type sight struct {
	now    scan.Result
	report detect.Report
}

// tries bounds how often inspect looks before it says what it has.
const tries = 5

// inspect scans and judges. Damage is believed once two looks in a row agree on
// it, the settling time apart.
func (d *Daemon) inspect(ctx context.Context, l look) (sight, error) {
	seen, err := d.glance(ctx, l, d.stale(l))
	for range tries {
		if err != nil || len(seen.report.Damaged()) == 0 {
			break
		}
		if err := sleep(ctx, d.cfg.Detect.Settle.Duration); err != nil {
			return sight{}, err
		}
		earlier := seen
		again := earlier.now.Cache.With(scan.Cache{}, names(earlier.report.Damaged()))
		if seen, err = d.glance(ctx, look{why: l.why}, again); err != nil {
			break
		}
		if len(detect.Confirm(earlier.report, seen.report)) == len(seen.report.Damaged()) {
			break
		}
	}
	if err != nil {
		return sight{}, err
	}
	d.book.observe(seen.now, seen.report)
	d.publish(seen)
	return seen, nil
}

// stale is the cache without what the look is to read anew.
func (d *Daemon) stale(l look) scan.Cache {
	cache := d.book.cache()
	if l.critical && !l.deep {
		cache = cache.With(scan.Cache{}, d.critical())
	}
	return cache
}

// glance scans and judges once.
func (d *Daemon) glance(ctx context.Context, l look, cache scan.Cache) (sight, error) {
	opts := scan.Options{Deep: l.deep}
	if l.why == "scrub" {
		opts.Rate = d.cfg.Detect.ScrubRate
	}
	now, err := d.scanner.Scan(ctx, cache, opts)
	if err != nil {
		return sight{}, err
	}
	return sight{now, detect.Judge(d.space, d.book.reference(), now)}, nil
}

// critical lists the service books and keys of the reference.
func (d *Daemon) critical() []userdata.Name {
	var names []userdata.Name
	for _, it := range d.book.reference().Manifest.Items() {
		if it.Class.Critical() {
			names = append(names, it.Name)
		}
	}
	return names
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
