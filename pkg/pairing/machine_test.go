package pairing

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

func testRules() readerRules {
	return readerRules{window: 2 * time.Minute, firstDelay: time.Second, maxGuesses: 3}
}

// at is a moment, in seconds after the start of the test's world.
func at(seconds int) time.Time { return time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC) }

// in makes a state whose window closes at second 120 and whose session is 7.
func in(p readerPhase) readerState {
	s := readerState{phase: p, closes: at(120)}
	if p == idle {
		return readerState{}
	}
	if p > addressShown {
		s.session = 7
	}
	return s
}

func TestReaderTransitions(t *testing.T) {
	closed, busy, wrong, bad := session.ErrPairingClosed, session.ErrBusy, session.ErrWrongPasscode, session.ErrBadRequest
	void := voidPasscode
	tests := []struct {
		from    readerState
		event   readerEvent
		to      readerPhase
		effects []readerEffect
		refusal error
	}{
		// 410: the button, anywhere.
		{in(idle), readerEvent{kind: pressed, at: at(1)}, addressShown, []readerEffect{void, showAddress}, nil},
		{in(addressShown), readerEvent{kind: pressed, at: at(1)}, addressShown, []readerEffect{void, showAddress}, nil},
		{in(passcodeShown), readerEvent{kind: pressed, at: at(1)}, addressShown, []readerEffect{void, showAddress}, nil},
		{in(answered), readerEvent{kind: pressed, at: at(1)}, addressShown, []readerEffect{void, showAddress}, nil},
		// The window closes by itself.
		{in(idle), readerEvent{kind: ticked, at: at(200)}, idle, nil, nil},
		{in(addressShown), readerEvent{kind: ticked, at: at(119)}, addressShown, nil, nil},
		{in(addressShown), readerEvent{kind: ticked, at: at(120)}, idle, []readerEffect{void, clearDisplay}, nil},
		{in(passcodeShown), readerEvent{kind: ticked, at: at(121)}, idle, []readerEffect{void, clearDisplay}, nil},
		{in(answered), readerEvent{kind: ticked, at: at(121)}, idle, []readerEffect{void, clearDisplay}, nil},
		{in(addressShown), readerEvent{kind: started, at: at(120), session: 7}, idle, []readerEffect{void, clearDisplay}, closed},
		{in(passcodeShown), readerEvent{kind: guessed, at: at(130), session: 7}, idle, []readerEffect{void, clearDisplay}, closed},
		{in(answered), readerEvent{kind: proved, at: at(130), session: 7}, idle, []readerEffect{void, clearDisplay}, closed},
		{in(idle), readerEvent{kind: cancelled, at: at(1)}, idle, nil, nil},
		{in(passcodeShown), readerEvent{kind: cancelled, at: at(1)}, idle, []readerEffect{void, clearDisplay}, nil},
		// Nothing is accepted outside the window.
		{in(idle), readerEvent{kind: started, at: at(1), session: 7}, idle, nil, closed},
		{in(idle), readerEvent{kind: guessed, at: at(1), session: 7}, idle, nil, closed},
		{in(idle), readerEvent{kind: proved, at: at(1), session: 7}, idle, nil, closed},
		// 416 and 418.
		{in(addressShown), readerEvent{kind: started, at: at(1), session: 7}, handshakeDone, []readerEffect{drawPasscode}, nil},
		{in(addressShown), readerEvent{kind: guessed, at: at(1), session: 7}, addressShown, nil, bad},
		{in(addressShown), readerEvent{kind: proved, at: at(1), session: 7}, addressShown, nil, bad},
		{in(handshakeDone), readerEvent{kind: displayed, at: at(1), session: 7}, passcodeShown, nil, nil},
		{in(handshakeDone), readerEvent{kind: stuck, at: at(1), session: 7}, idle, []readerEffect{void, showFailed}, nil},
		{in(passcodeShown), readerEvent{kind: started, at: at(1), session: 7}, passcodeShown, nil, nil},
		// One pairing at a time.
		{in(passcodeShown), readerEvent{kind: started, at: at(1), session: 8}, passcodeShown, nil, busy},
		{in(passcodeShown), readerEvent{kind: guessed, at: at(1), session: 8}, passcodeShown, nil, busy},
		{in(answered), readerEvent{kind: started, at: at(1), session: 8}, answered, nil, busy},
		{in(answered), readerEvent{kind: proved, at: at(1), session: 8}, answered, nil, busy},
		// The guess.
		{in(passcodeShown), readerEvent{kind: guessed, at: at(1), session: 7}, answered, []readerEffect{answerKE1}, nil},
		{in(passcodeShown), readerEvent{kind: proved, at: at(1), session: 7}, passcodeShown, nil, bad},
		{in(answered), readerEvent{kind: proved, at: at(1), session: 7}, answered, []readerEffect{verifyKE3}, nil},
		{in(answered), readerEvent{kind: guessed, at: at(1), session: 7}, handshakeDone, []readerEffect{void, showFailed, drawPasscode}, wrong},
		{in(answered), readerEvent{kind: started, at: at(1), session: 7}, handshakeDone, []readerEffect{void, showFailed, drawPasscode}, nil},
		{in(answered), readerEvent{kind: mismatched, at: at(1), session: 7}, handshakeDone, []readerEffect{void, showFailed, drawPasscode}, wrong},
		// 422.
		{in(answered), readerEvent{kind: matched, at: at(1), session: 7}, verified, []readerEffect{storeKey}, nil},
		{in(verified), readerEvent{kind: stored, at: at(1), session: 7}, idle, []readerEffect{void, showPaired}, nil},
		{in(verified), readerEvent{kind: stuck, at: at(1), session: 7}, idle, []readerEffect{void, showFailed}, nil},
		// Nobody gets to 422 by another way.
		{in(passcodeShown), readerEvent{kind: matched, at: at(1), session: 7}, passcodeShown, nil, bad},
		{in(passcodeShown), readerEvent{kind: stored, at: at(1), session: 7}, passcodeShown, nil, bad},
		{in(addressShown), readerEvent{kind: stored, at: at(1), session: 7}, addressShown, nil, bad},
		{in(answered), readerEvent{kind: stored, at: at(1), session: 7}, answered, nil, bad},
		{in(handshakeDone), readerEvent{kind: guessed, at: at(1), session: 7}, handshakeDone, nil, bad},
		// The link is lost.
		{in(idle), readerEvent{kind: disconnected, at: at(1), session: 7}, idle, nil, nil},
		{in(addressShown), readerEvent{kind: disconnected, at: at(1), session: 7}, addressShown, nil, nil},
		{in(passcodeShown), readerEvent{kind: disconnected, at: at(1), session: 8}, passcodeShown, nil, nil},
		{in(passcodeShown), readerEvent{kind: disconnected, at: at(1), session: 7}, addressShown, []readerEffect{void, showAddress}, nil},
		{in(answered), readerEvent{kind: disconnected, at: at(1), session: 7}, addressShown, []readerEffect{void, showAddress}, nil},
	}
	for _, tt := range tests {
		name := tt.from.phase.String() + " " + tt.event.kind.String()
		next, effects, err := tt.from.step(tt.event, testRules())
		if next.phase != tt.to || !slices.Equal(effects, tt.effects) || !errors.Is(err, tt.refusal) || (tt.refusal == nil && err != nil) {
			t.Errorf("%s: %v, %v, %v; want %v, %v, %v", name, next.phase, effects, err, tt.to, tt.effects, tt.refusal)
		}
	}
}

// TestReaderHasNoOtherWay tries every event in every phase: only the right one
// stores a key, and only one answers a guess.
func TestReaderHasNoOtherWay(t *testing.T) {
	for p := idle; p <= verified; p++ {
		for k := pressed; k <= disconnected; k++ {
			for _, number := range []uint64{0, 7, 8} {
				next, effects, _ := in(p).step(readerEvent{kind: k, at: at(1), session: number}, testRules())
				if slices.Contains(effects, storeKey) != (p == answered && k == matched && number == 7) {
					t.Errorf("%v %v: a key is stored", p, k)
				}
				if slices.Contains(effects, answerKE1) != (p == passcodeShown && k == guessed && number == 7) {
					t.Errorf("%v %v: a guess is answered", p, k)
				}
				if next.phase == answered && next != in(answered) {
					t.Errorf("%v %v: answered in another state: %+v", p, k, next)
				}
			}
		}
	}
}

func TestWrongGuessesCountAndDelay(t *testing.T) {
	s, now := in(answered), at(1)
	for n, delay := range []time.Duration{time.Second, 2 * time.Second} {
		s, _, _ = s.step(readerEvent{kind: mismatched, at: now, session: 7}, testRules())
		if s.wrong != n+1 || !s.notBefore.Equal(now.Add(delay)) {
			t.Fatalf("after %d: %+v", n+1, s)
		}
		s, _, _ = s.step(readerEvent{kind: displayed, at: now, session: 7}, testRules())
		_, effects, err := s.step(readerEvent{kind: guessed, at: now.Add(delay - time.Millisecond), session: 7}, testRules())
		locked, ok := errors.AsType[*session.LockedOut](err)
		if !ok || locked.RetryAfter != time.Millisecond || len(effects) != 0 {
			t.Errorf("guess %d comes too early: %v, %v", n+2, effects, err)
		}
		now = now.Add(delay)
		s, _, err = s.step(readerEvent{kind: guessed, at: now, session: 7}, testRules())
		if err != nil {
			t.Fatal(err)
		}
	}
	s, effects, err := s.step(readerEvent{kind: mismatched, at: now, session: 7}, testRules())
	if s != (readerState{}) || !errors.Is(err, session.ErrPairingClosed) || !slices.Equal(effects, []readerEffect{voidPasscode, showFailed}) {
		t.Errorf("after the last: %+v, %v, %v", s, effects, err)
	}
}

// TestHangingUpSavesNoGuess disconnects after each answer, as somebody would who
// wants guesses for nothing.
func TestHangingUpSavesNoGuess(t *testing.T) {
	s := in(addressShown)
	answers := 0
	for number := uint64(1); s.phase != idle; number++ {
		now := at(1).Add(time.Duration(number) * 5 * time.Second)
		for _, k := range []readerEventKind{started, displayed, guessed, disconnected} {
			var effects []readerEffect
			s, effects, _ = s.step(readerEvent{kind: k, at: now, session: number}, testRules())
			if slices.Contains(effects, answerKE1) {
				answers++
			}
		}
	}
	if answers != testRules().maxGuesses {
		t.Errorf("%d guesses were answered; want %d", answers, testRules().maxGuesses)
	}
}

func TestDeviceTransitions(t *testing.T) {
	gone := errors.New("gone")
	tests := []struct {
		from   deviceState
		event  deviceEvent
		to     devicePhase
		action deviceAction
	}{
		{deviceState{phase: undialled}, deviceEvent{kind: begun}, undialled, dial},
		{deviceState{phase: undialled}, deviceEvent{kind: reached}, dialled, ask},
		{deviceState{phase: dialled}, deviceEvent{kind: asked}, passcodeWanted, prompt},
		{deviceState{phase: passcodeWanted}, deviceEvent{kind: misentered}, passcodeWanted, prompt},
		{deviceState{phase: passcodeWanted, malformed: 4}, deviceEvent{kind: misentered}, failed, stop},
		{deviceState{phase: passcodeWanted}, deviceEvent{kind: entered}, verifying, prove},
		{deviceState{phase: verifying}, deviceEvent{kind: early}, verifying, wait},
		{deviceState{phase: verifying}, deviceEvent{kind: refuted}, dialled, ask},
		{deviceState{phase: verifying}, deviceEvent{kind: proven}, verifying, finish},
		{deviceState{phase: verifying}, deviceEvent{kind: acknowledge}, acknowledged, pinReader},
		{deviceState{phase: acknowledged}, deviceEvent{kind: pinned}, paired, stop},
	}
	legal := make(map[[2]uint8]bool)
	for _, tt := range tests {
		legal[[2]uint8{uint8(tt.from.phase), uint8(tt.event.kind)}] = true
		if next, action := tt.from.step(tt.event); next.phase != tt.to || action != tt.action {
			t.Errorf("%v %v: %v, %v; want %v, %v", tt.from.phase, tt.event.kind, next.phase, action, tt.to, tt.action)
		}
	}
	for p := undialled; p <= failed; p++ {
		for k := begun; k < deviceEvents; k++ {
			next, action := deviceState{phase: p}.step(deviceEvent{kind: k, err: gone})
			switch {
			case legal[[2]uint8{uint8(p), uint8(k)}]:
			case k == brokenOff && p < paired:
				if next.phase != failed || !errors.Is(next.err, gone) || action != stop {
					t.Errorf("%v %v: %+v, %v", p, k, next, action)
				}
			case next.phase != failed || !errors.Is(next.err, errImpossible) || action != stop:
				t.Errorf("%v %v is possible: %+v, %v", p, k, next, action)
			}
		}
	}
}

func TestDeviceRemembersWrongPasscodes(t *testing.T) {
	s, _ := deviceState{phase: verifying}.step(deviceEvent{kind: refuted})
	if !s.retry() {
		t.Error("the next prompt is no retry")
	}
	s, _ = s.step(deviceEvent{kind: brokenOff, err: session.ErrPairingClosed})
	if !errors.Is(s.err, keyring.ErrWrongPasscode) || !errors.Is(s.err, session.ErrPairingClosed) {
		t.Errorf("the error is %v", s.err)
	}
}

func TestNames(t *testing.T) {
	for p := range 10 {
		for _, s := range []string{readerPhase(p).String(), devicePhase(p).String(), readerEventKind(p).String(), deviceEventKind(p).String()} {
			if s == "" || strings.Contains(s, "%") {
				t.Errorf("%d is %q", p, s)
			}
		}
	}
	if readerPhase(99).String() != "unknown" || deviceEventKind(99).String() != "unknown" {
		t.Error("what is unknown has a name")
	}
}
