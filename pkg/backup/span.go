package backup

import "time"

// Reading is one look at the clocks of this machine.
type Reading struct {
	Boot string        // tells one boot from another
	Up   time.Duration // since the boot, sleep included; no one can set it
	Wall time.Time     // the time of day, which anybody may set
}

// Span is the time that has passed since the last backup, as it is kept across
// boots. Within a boot it goes by what no one can set, sleep included. How long
// the machine was off is known by the time of day only, and within bounds: a
// clock that was set ahead meanwhile makes one backup come early, and one that
// was set back makes none come later than if the machine had not been off.
//
// The zero Span is that of a machine that has never been backed up.
type Span struct {
	Passed time.Duration `json:"passed"` // as of the reading below
	Boot   string        `json:"boot"`
	Up     time.Duration `json:"up"`
	Wall   time.Time     `json:"wall"`
	// Orderly is set on what was noted as the last thing before the end: whatever
	// happened until then is in it.
	Orderly bool `json:"orderly"`
	// Lost is what the time of day was at least at the reading, where the clock has
	// lost it: how long the machine was off is not known before it is set.
	Lost time.Time `json:"lost"`
	// Doubt says that more may have passed than is known: the machine had no orderly
	// end and has lost its clock, too.
	Doubt bool `json:"doubt"`
	// Share is which part of the jitter is this span's, in 65,536ths.
	Share uint16 `json:"share"`
}

// maxPassed bounds what a clock that was set can make of a time.
const maxPassed = 10 * 366 * 24 * time.Hour

// setBack is how much earlier than it was a clock has to be to count as lost: it
// may have been put right by some seconds.
const setBack = time.Minute

// NewSpan begins a span at the reading, with a share of the jitter. Passed is what
// counts as passed already.
func NewSpan(r Reading, passed time.Duration, share uint16) Span {
	s := Span{Boot: r.Boot, Up: r.Up, Wall: r.Wall, Share: share}
	return s.add(passed)
}

// At brings a span up to a reading.
func (s Span) At(r Reading) Span {
	switch {
	case s.Boot == "": // never backed up
		s.Doubt = true
	case s.Boot == r.Boot:
		s = s.on(r.Up - s.Up)
	default:
		s = s.off(r).on(r.Up)
	}
	if !s.Lost.IsZero() && r.Wall.After(s.Lost) { // the clock has been put right
		s = s.add(r.Wall.Sub(s.Lost))
		s.Lost = time.Time{}
	}
	s.Boot, s.Up, s.Wall, s.Orderly = r.Boot, r.Up, r.Wall, false
	return s
}

// on adds a time for which the machine was on.
func (s Span) on(d time.Duration) Span {
	if !s.Lost.IsZero() {
		s.Lost = s.Lost.Add(d)
	}
	return s.add(d)
}

// off adds the time for which the machine was off before the boot of the reading.
func (s Span) off(r Reading) Span {
	was := s.Wall
	if !s.Lost.IsZero() {
		was = s.Lost
	}
	d := r.Wall.Add(-r.Up).Sub(was)
	s.Lost = time.Time{}
	if d < -setBack {
		s.Doubt, s.Lost = s.Doubt || !s.Orderly, was
	}
	return s.add(d)
}

func (s Span) add(d time.Duration) Span {
	s.Passed = min(s.Passed+min(max(d, 0), maxPassed), maxPassed)
	return s
}

func (s Span) doubtful(r Reading) bool { return s.At(r).Doubt }

// Ended is what to keep as the last thing before an orderly end.
func (s Span) Ended(r Reading) Span {
	s = s.At(r)
	s.Orderly = true
	return s
}

// Stepped tells whether the span is worth noting anew: it was noted in another
// boot, or the time of day has been set since.
func (s Span) Stepped(r Reading) bool {
	drift := r.Wall.Sub(s.Wall) - (r.Up - s.Up)
	return s.Boot != r.Boot || drift.Abs() > setBack || !s.Lost.IsZero()
}
