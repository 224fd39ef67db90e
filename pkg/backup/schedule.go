package backup

import "time"

// The bounds of the span between two backups.
const (
	MinEvery = time.Second
	MaxEvery = 366 * 24 * time.Hour
)

// Schedule says when a backup is due (step 516).
type Schedule struct {
	Every time.Duration // between two backups; 0: none is ever due
	Span  Span
}

// Jitter is how much later than its span a backup may become due, so that devices
// that were switched on together do not all come to their reader at once.
func (s Schedule) Jitter() time.Duration { return min(s.Every/10, 5*time.Minute) }

// Settle is how long after a boot nothing becomes due: the system has other things
// to do then.
func (s Schedule) Settle() time.Duration { return min(s.Every/10, 2*time.Minute) }

// Grace is how long after its span a backup that was not made is overdue. It is
// longer than the jitter: what is about to be made is not late.
func (s Schedule) Grace() time.Duration { return min(s.Every/4, time.Hour) }

// delay is this span's share of the jitter.
func (s Schedule) delay() time.Duration {
	return time.Duration(int64(s.Jitter()) / 65536 * int64(s.Span.Share))
}

// Wait is how long from the reading until a backup is due: 0 when one is, and
// less than 0 when none ever will be.
func (s Schedule) Wait(r Reading) time.Duration {
	if s.Every <= 0 {
		return -1
	}
	left := s.Every + s.delay() - s.Span.At(r).Passed
	if s.Span.doubtful(r) {
		left = 0
	}
	return max(left, s.settling(r), 0)
}

// settling is how long after a boot to wait still.
func (s Schedule) settling(r Reading) time.Duration { return s.Settle() + s.delay() - r.Up }

// Left is how long from the reading until the span has passed, whatever else a
// backup waits for; less than 0 when it has.
func (s Schedule) Left(r Reading) time.Duration { return s.Every - s.Span.At(r).Passed }

// UntilOverdue is how long from the reading until a backup that is not made is
// overdue: 0 when it is, and less than 0 when it never will be.
func (s Schedule) UntilOverdue(r Reading) time.Duration {
	if s.Every <= 0 {
		return -1
	}
	return max(s.Left(r)+s.Grace(), s.settling(r)+s.Grace(), 0)
}

// Overdue tells whether a backup is overdue, and since when by people's clock.
func (s Schedule) Overdue(r Reading) (since time.Time, yes bool) {
	return r.Wall.Add(s.Left(r)), s.UntilOverdue(r) == 0
}

// Due is when the next backup is due, by people's clock.
func (s Schedule) Due(r Reading) time.Time { return r.Wall.Add(max(s.Wait(r), 0)) }

// Retry is how long to wait after so many failures in a row.
func (s Schedule) Retry(failures int) time.Duration {
	first, last := min(s.Every, time.Minute), min(s.Every, time.Hour)
	return min(first<<min(failures-1, 6), last)
}
