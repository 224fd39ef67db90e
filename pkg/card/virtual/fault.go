package virtual

import "errors"

// Action is what a Hook does to one command.
type Action int

// The actions of a Hook.
const (
	Answer    Action = iota // run the command and answer
	PullFirst               // the card is pulled before it runs the command
	PullAfter               // the card runs the command and is pulled before it answers
	Tear                    // the card is pulled when it has written half of the data
	Wipe                    // the card is pulled when it has erased what was to be overwritten
	Mute                    // the card never answers
)

// Hook decides on the fate of each command; n counts commands from 1 since the
// hook was set. It is called with the card locked and must not call the card.
type Hook func(n int, apdu []byte) Action

var (
	errPulled = errors.New("card pulled")
	errMute   = errors.New("card mute")
)

// SetHook installs a hook, nil for none.
func (c *Card) SetHook(hook Hook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hook == nil {
		c.hook = nil
		return
	}
	n := 0
	c.hook = func(_ int, apdu []byte) Action {
		n++
		return hook(n, apdu)
	}
}

// FaultAt is a Hook that lets commands pass until the nth, does action to that
// one and, if it pulls the card, refuses all after it.
func FaultAt(nth int, action Action) Hook {
	return func(n int, _ []byte) Action {
		switch {
		case n < nth:
			return Answer
		case n > nth && action != Mute:
			return PullFirst
		}
		return action
	}
}
