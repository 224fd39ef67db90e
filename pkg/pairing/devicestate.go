package pairing

import (
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/keyring"
)

// devicePhase is where the device stands in FIG. 4.
type devicePhase uint8

const (
	undialled      devicePhase = iota // 414: the address is known
	dialled                           // the link and TLS are up; 416 is to be asked for
	passcodeWanted                    // 418 is done; the owner enters what is displayed (420)
	verifying                         // the two prove to each other that they know it (422)
	acknowledged                      // the reader has verified and stored; its key is to be pinned
	paired                            // the end
	failed                            // the end, too
)

func (p devicePhase) String() string {
	names := [...]string{"undialled", "dialled", "passcode wanted", "verifying", "acknowledged", "paired", "failed"}
	if int(p) >= len(names) {
		return "unknown"
	}
	return names[p]
}

// deviceState is all that the device's next step depends on.
type deviceState struct {
	phase     devicePhase
	wrong     int // passcodes that were wrong
	malformed int // entries since then that were no passcodes
	err       error
}

// maxMalformed is how many entries in a row may be no passcodes: a script that
// answers every prompt with the same nonsense must come to an end.
const maxMalformed = 5

// deviceEventKind is what can come of what the device did.
type deviceEventKind uint8

const (
	begun        deviceEventKind = iota // Pair was called
	reached                             // the link and TLS are up
	asked                               // 416: the reader displays a passcode
	entered                             // 420: a passcode
	misentered                          // 420: something else
	early                               // the reader wants to wait before the next guess
	proven                              // KE2 is right: the reader knows the passcode
	refuted                             // KE2 or KE3 is wrong
	acknowledge                         // 422: the reader's last word
	pinned                              // the reader's key is on disk
	brokenOff                           // anything went wrong: err
	deviceEvents                        // how many there are
)

func (k deviceEventKind) String() string {
	names := [...]string{"begun", "reached", "asked", "entered", "misentered", "early", "proven", "refuted",
		"acknowledge", "pinned", "broken off"}
	if int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

type deviceEvent struct {
	kind deviceEventKind
	err  error // of brokenOff
}

// deviceAction is the one thing that the device does next.
type deviceAction uint8

const (
	stop      deviceAction = iota
	dial                   // 414: reached or brokenOff follows
	ask                    // 416: asked or brokenOff
	prompt                 // 420: entered, misentered or brokenOff
	prove                  // KE1 and KE2: proven, refuted, early or brokenOff
	wait                   // then prove again
	finish                 // KE3: acknowledge, refuted or brokenOff
	pinReader              // pinned or brokenOff
)

// errImpossible is a mistake in the runner.
var errImpossible = errors.New("event does not belong here")

// step is the machine: it returns the next state and the next action.
func (s deviceState) step(e deviceEvent) (deviceState, deviceAction) {
	type at struct {
		phase devicePhase
		kind  deviceEventKind
	}
	if e.kind == brokenOff && s.phase < paired {
		return s.fail(e.err)
	}
	switch (at{s.phase, e.kind}) {
	case at{undialled, begun}:
		return s, dial
	case at{undialled, reached}:
		return s.to(dialled), ask
	case at{dialled, asked}:
		return s.to(passcodeWanted), prompt
	case at{passcodeWanted, misentered}:
		return s.again()
	case at{passcodeWanted, entered}:
		s.malformed = 0
		return s.to(verifying), prove
	case at{verifying, early}:
		return s, wait
	case at{verifying, proven}:
		return s, finish
	case at{verifying, refuted}: // the reader displays another passcode when asked
		s.wrong++
		return s.to(dialled), ask
	case at{verifying, acknowledge}:
		return s.to(acknowledged), pinReader
	case at{acknowledged, pinned}:
		return s.to(paired), stop
	}
	return s.fail(fmt.Errorf("%w: %v while %v", errImpossible, e.kind, s.phase))
}

func (s deviceState) to(p devicePhase) deviceState {
	s.phase = p
	return s
}

// again lets the owner correct an entry that was no passcode; the reader never
// sees it.
func (s deviceState) again() (deviceState, deviceAction) {
	if s.malformed++; s.malformed >= maxMalformed {
		return s.fail(keyring.ErrMalformedPasscode)
	}
	return s, prompt
}

// fail ends in failed. After a wrong passcode the error says so as well,
// whatever it was that ended the attempts.
func (s deviceState) fail(err error) (deviceState, deviceAction) {
	if s.wrong > 0 {
		err = fmt.Errorf("%w: %w", keyring.ErrWrongPasscode, err)
	}
	s.phase, s.err = failed, err
	return s, stop
}

// retry tells whether the next prompt is not the first.
func (s deviceState) retry() bool { return s.wrong+s.malformed > 0 }
