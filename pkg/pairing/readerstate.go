package pairing

import (
	"fmt"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
)

// readerPhase is where the reader stands in FIG. 4.
type readerPhase uint8

const (
	idle          readerPhase = iota // closed: nothing is accepted
	addressShown                     // 412: the window is open, 416 is awaited
	handshakeDone                    // 416: a passcode is to be displayed
	passcodeShown                    // 418: KE1 is awaited
	answered                         // KE1 was answered, the guess is spent; KE3 is awaited
	verified                         // 422: the device's key is to be stored
)

func (p readerPhase) String() string {
	names := [...]string{"idle", "address shown", "handshake done", "passcode shown", "answered", "verified"}
	if int(p) >= len(names) {
		return "unknown"
	}
	return names[p]
}

// readerState is all that the reader's next step depends on.
type readerState struct {
	phase     readerPhase
	closes    time.Time // the window
	wrong     int       // guesses in this window
	notBefore time.Time // when the next guess is taken
	session   uint64    // that is being paired, from handshakeDone on
}

// readerEventKind is what can happen to the reader.
type readerEventKind uint8

const (
	pressed      readerEventKind = iota // 410: the button
	cancelled                           // the owner, or the end of the daemon
	ticked                              // time has passed
	started                             // 416: a device asks for a pairing
	displayed                           // the passcode is on the display
	guessed                             // KE1 has come
	proved                              // KE3 has come
	matched                             // KE3 is right
	mismatched                          // KE1 or KE3 is wrong
	stored                              // the device's key is on disk
	stuck                               // a passcode could not be drawn, or a key not stored
	disconnected                        // a pairing session has ended
)

func (k readerEventKind) String() string {
	names := [...]string{"pressed", "cancelled", "ticked", "started", "displayed", "guessed", "proved",
		"matched", "mismatched", "stored", "stuck", "disconnected"}
	if int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

type readerEvent struct {
	kind    readerEventKind
	at      time.Time
	session uint64 // of the device's events
}

// readerEffect is what the runner has to do after a step, in order.
type readerEffect uint8

const (
	showAddress  readerEffect = iota // 412
	drawPasscode                     // make and display a new one (418); displayed or stuck follows
	voidPasscode                     // forget the one there is, if any
	answerKE1                        // mismatched follows if it cannot be
	verifyKE3                        // matched or mismatched follows
	storeKey                         // stored or stuck follows
	showPaired
	showFailed
	clearDisplay
)

// readerRules are the settings that the machine goes by.
type readerRules struct {
	window     time.Duration
	firstDelay time.Duration // after the first wrong guess; doubles with each
	maxGuesses int           // wrong ones in a window
}

// step is the machine: it returns the next state, what to do, and, for an event
// that a device's call made, why the call is refused.
func (s readerState) step(e readerEvent, rules readerRules) (readerState, []readerEffect, error) {
	switch e.kind {
	case pressed:
		next := readerState{phase: addressShown, closes: e.at.Add(rules.window)}
		return next, []readerEffect{voidPasscode, showAddress}, nil
	case cancelled:
		return s.close(clearDisplay)
	case disconnected:
		return s.leave(e, rules)
	}
	if s.phase != idle && !e.at.Before(s.closes) {
		next, effects, _ := s.close(clearDisplay)
		return next, effects, refuseTicked(e)
	}
	return s.stepOpen(e, rules)
}

// refuseTicked tells a device's call that the window has closed meanwhile.
func refuseTicked(e readerEvent) error {
	if e.kind == ticked {
		return nil
	}
	return session.ErrPairingClosed
}

// close ends the pairing; what is idle already stays as it is.
func (s readerState) close(last readerEffect) (readerState, []readerEffect, error) {
	if s.phase == idle {
		return s, nil, nil
	}
	return readerState{}, []readerEffect{voidPasscode, last}, nil
}

// stepOpen judges what devices do.
func (s readerState) stepOpen(e readerEvent, rules readerRules) (readerState, []readerEffect, error) {
	if e.kind == ticked {
		return s, nil, nil
	}
	if s.phase == idle {
		return s, nil, session.ErrPairingClosed
	}
	if s.phase == addressShown {
		return s.begin(e)
	}
	if s.session != e.session {
		return s, nil, fmt.Errorf("%w: another device is being paired", session.ErrBusy)
	}
	return s.stepBegun(e, rules)
}

func (s readerState) begin(e readerEvent) (readerState, []readerEffect, error) {
	if e.kind != started {
		return s, nil, fmt.Errorf("%w: %v while %v", session.ErrBadRequest, e.kind, s.phase)
	}
	s.phase, s.session = handshakeDone, e.session
	return s, []readerEffect{drawPasscode}, nil
}

// stepBegun is about the session that is being paired.
func (s readerState) stepBegun(e readerEvent, rules readerRules) (readerState, []readerEffect, error) {
	type at struct {
		phase readerPhase
		kind  readerEventKind
	}
	switch (at{s.phase, e.kind}) {
	case at{handshakeDone, displayed}:
		s.phase = passcodeShown
		return s, nil, nil
	case at{passcodeShown, started}: // asked twice: the passcode stands
		return s, nil, nil
	case at{passcodeShown, guessed}:
		if wait := s.notBefore.Sub(e.at); wait > 0 {
			return s, nil, &session.LockedOut{RetryAfter: wait}
		}
		s.phase = answered
		return s, []readerEffect{answerKE1}, nil
	case at{answered, proved}:
		return s, []readerEffect{verifyKE3}, nil
	case at{answered, started}: // the device found KE2 wrong
		return s.count(e, rules, nil)
	case at{answered, guessed}, at{answered, mismatched}:
		return s.count(e, rules, session.ErrWrongPasscode)
	case at{answered, matched}:
		s.phase = verified
		return s, []readerEffect{storeKey}, nil
	case at{verified, stored}:
		return readerState{}, []readerEffect{voidPasscode, showPaired}, nil
	case at{verified, stuck}, at{handshakeDone, stuck}:
		return s.close(showFailed)
	}
	return s, nil, fmt.Errorf("%w: %v while %v", session.ErrBadRequest, e.kind, s.phase)
}

// count counts a wrong guess, and either draws another passcode or closes the
// window.
func (s readerState) count(e readerEvent, rules readerRules, refusal error) (readerState, []readerEffect, error) {
	s.wrong++
	if s.wrong >= rules.maxGuesses {
		next, effects, _ := s.close(showFailed)
		return next, effects, fmt.Errorf("%w: %d wrong passcodes", session.ErrPairingClosed, s.wrong)
	}
	s.notBefore = e.at.Add(rules.firstDelay << (s.wrong - 1))
	s.phase = handshakeDone
	return s, []readerEffect{voidPasscode, showFailed, drawPasscode}, refusal
}

// leave voids the passcode of a session that has ended. A device that goes
// after KE2 has had its guess.
func (s readerState) leave(e readerEvent, rules readerRules) (readerState, []readerEffect, error) {
	if s.phase <= addressShown || s.session != e.session {
		return s, nil, nil
	}
	if s.phase == answered {
		next, effects, _ := s.count(e, rules, nil)
		if next.phase == idle {
			return next, effects, nil
		}
		s = next
	}
	s.phase, s.session = addressShown, 0
	return s, []readerEffect{voidPasscode, showAddress}, nil
}
