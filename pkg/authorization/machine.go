package authorization

import (
	"slices"
	"time"
)

// Moment is one look at the clocks of the device.
type Moment struct {
	Boot  string        `json:"boot"`  // tells one boot from another
	Up    time.Duration `json:"up"`    // since the boot, sleep included; no one can set it
	Awake time.Duration `json:"awake"` // the same without sleep
	Wall  time.Time     `json:"wall"`  // the time of day, which may be set
}

// Reason says why the functions are as they are: Proven, or what stands in the way
// of a proof.
type Reason string

// The reasons.
const (
	Proven          Reason = "proven"           // the owner's card has answered the last heartbeat
	Booted          Reason = "boot"             // no card has answered since the device was started
	CardOut         Reason = "card-out"         // the reader is there, and the owner's card is not in it
	OtherCard       Reason = "other-card"       // the card in it is not the owner's
	Unproven        Reason = "unproven"         // what answers has the card's data, without its key
	NoRecord        Reason = "no-record"        // nothing was saved yet, so no card holds an authorization
	NoAnswer        Reason = "no-answer"        // the reader is there, and a heartbeat stays without an answer
	OutOfRange      Reason = "out-of-range"     // there is no session with the reader
	ReaderRestarted Reason = "reader-restarted" // the reader was started anew
	DaemonRestarted Reason = "daemon-restarted" // the device's daemon was
	Unpaired        Reason = "unpaired"         // there is no reader
	Suspended       Reason = "suspend"          // the device has slept
	ClockChanged    Reason = "clock-changed"    // the time of day was set
)

// known tells whether it is one of them.
func (r Reason) known() bool {
	return slices.Contains([]Reason{
		Proven, Booted, CardOut, OtherCard, Unproven, NoRecord, NoAnswer, OutOfRange, ReaderRestarted,
		DaemonRestarted, Unpaired, Suspended, ClockChanged,
	}, r)
}

// passing tells the reasons that only ask for another heartbeat: they say nothing
// of the card, and give way to whatever does.
func (r Reason) passing() bool {
	return r == Proven || r == Booted || r == Suspended || r == ClockChanged || r == DaemonRestarted
}

// Kind is what happened to an authorization.
type Kind uint8

// The kinds.
const (
	Elapsed   Kind = iota // time, and nothing else
	Restarted             // the device's daemon has taken up what it kept
	Answered              // the owner's card has answered the challenge that was drawn at Asked
	Missed                // no answer will come now; Why says what is in the way
	Allowed               // an administrator has the functions on For some time
	Revoked               // and takes that back
)

// Event is one thing that happened.
type Event struct {
	Kind  Kind
	At    Moment
	Asked time.Duration // of Answered: as Moment.Up
	Why   Reason        // of Missed
	For   time.Duration // of Allowed, at most MaxOverride
}

// MaxOverride is the longest that an administrator's word lasts. It ends with the boot, too.
const MaxOverride = 7 * 24 * time.Hour

// Phase is how the functions stand.
type Phase string

// The phases. In all but Disabled the functions are on.
const (
	Enabled    Phase = "enabled"  // the card answers
	Expiring   Phase = "expiring" // it does not, and the grace runs out
	Overridden Phase = "override" // it does not, and an administrator has them on
	Disabled   Phase = "disabled"
)

// State is an authorization as it stands, and all that is kept of it across a
// restart of the daemon. The zero State is that before the first look: Disabled.
// Its times are Moment.Up of the boot of Seen; those of another boot count for nothing.
type State struct {
	Seen    Moment        `json:"seen"`    // the last look
	Asked   time.Duration `json:"asked"`   // when the last challenge was drawn that was answered; 0 never
	Expires time.Duration `json:"expires"` // when the functions go off unless another is; 0: no proof holds
	Until   time.Duration `json:"until"`   // end of an administrator's word; 0: none
	Since   time.Duration `json:"since"`   // when the phase began
	Why     Reason        `json:"why"`
}

// Phase is how the functions stand, as of the last look.
func (s State) Phase() Phase {
	switch {
	case s.Expires > 0 && s.Why == Proven:
		return Enabled
	case s.Until > 0:
		return Overridden
	case s.Expires > 0:
		return Expiring
	}
	return Disabled
}

// On tells whether the functions are on.
func (s State) On() bool { return s.Phase() != Disabled }

// Ends is when the functions go off if nothing happens any more; 0 when they are.
func (s State) Ends() time.Duration { return max(s.Expires, s.Until) }

// Wait is how long from the last look until time alone changes something; less than
// 0 for never.
func (s State) Wait() time.Duration {
	wait := time.Duration(-1)
	for _, end := range []time.Duration{s.Expires, s.Until} {
		if end > 0 && (wait < 0 || end-s.Seen.Up < wait) {
			wait = max(end-s.Seen.Up, 0)
		}
	}
	return wait
}

// Step is the whole of paragraph 29 and claim 4 as a pure function: the functions
// are on for the grace after the moment at which the last challenge was drawn that
// the owner's card has answered, and go on again by another such answer alone.
func (s State) Step(grace time.Duration, e Event) State {
	next := s.seen(e.At)
	switch e.Kind {
	case Restarted:
		next = next.restarted(grace)
	case Answered:
		next = next.answered(e.Asked, grace)
	case Missed:
		next.Why = e.Why
	case Allowed:
		next.Until = e.At.Up + min(max(e.For, 0), MaxOverride)
	case Revoked:
		next.Until = 0
	}
	next = next.expired()
	if next.Phase() != s.Phase() || s.Seen.Boot != e.At.Boot {
		next.Since = e.At.Up
	}
	return next
}

// seen brings the state up to a look. What is from another boot, or claims to be
// from the future, is worth nothing.
func (s State) seen(m Moment) State {
	if s.Seen.Boot != m.Boot || m.Up < s.Seen.Up {
		return State{Seen: m, Why: Booted}
	}
	if why := jump(s.Seen, m); why != "" && s.Why.passing() {
		s.Why = why
	}
	s.Seen = m
	return s
}

// What a clock may be off by without anything being said of it.
const (
	slept   = time.Second     // between two looks, beside the other clock
	stepped = 5 * time.Second // of the time of day: more than any correction by degrees
)

// jump is what has become of the clocks between two looks of one boot.
func jump(was, is Moment) Reason {
	up := is.Up - was.Up
	if up-(is.Awake-was.Awake) > slept {
		return Suspended
	}
	if (is.Wall.Sub(was.Wall) - up).Abs() > stepped {
		return ClockChanged
	}
	return ""
}

// restarted holds what was kept to what the settings say now: never to more than
// was promised before.
func (s State) restarted(grace time.Duration) State {
	if s.Expires > 0 {
		s.Expires = min(s.Expires, s.Asked+grace)
	}
	if s.Until > s.Seen.Up+MaxOverride {
		s.Until = 0
	}
	if s.Why == Proven {
		s.Why = DaemonRestarted
	}
	return s
}

// answered takes a proof that is newer than the last. It counts from when it was
// asked for: an answer that was held back is worth as much less.
func (s State) answered(asked, grace time.Duration) State {
	if asked <= s.Asked || asked > s.Seen.Up || asked+grace <= s.Seen.Up {
		return s
	}
	s.Asked, s.Expires, s.Why = asked, asked+grace, Proven
	return s
}

// expired ends what has passed. It does not come back: only an answer does that.
func (s State) expired() State {
	if s.Until <= s.Seen.Up {
		s.Until = 0
	}
	if s.Expires > 0 && s.Expires <= s.Seen.Up {
		if s.Expires = 0; s.Why == Proven {
			s.Why = NoAnswer
		}
	}
	return s
}
