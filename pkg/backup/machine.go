package backup

import (
	"context"
	"fmt"
)

// State is where a backup stands in FIG. 5. A backup that the owner asks for
// leaves out the steps 512 and 516 (paragraph 36).
type State uint8

// The states, each with the figure's step that it waits in.
const (
	Started   State = iota // 510
	InRange                // 518: is the reader there?
	Comparing              // 520: have the contents changed?
	Pairing                // 522: is there a session with a paired reader?
	Sending                // 524: the data set goes to the reader
	Finished               // the data set is committed
	Unchanged              // 520: no; the last snapshot is still true
	Away                   // 518: no
	Unpaired               // 522: no pairing, and the owner gave none
	Broken                 // 524 was interrupted; a later backup goes on with it
)

// Event is what moves a backup on.
type Event uint8

// The events.
const (
	Begin Event = iota
	Reachable
	Unreachable
	Different
	Same
	Paired
	NotPaired
	Committed
	Interrupted
)

type edge struct {
	from State
	on   Event
}

func transitions() map[edge]State {
	return map[edge]State{
		{Started, Begin}:       InRange,
		{InRange, Reachable}:   Comparing,
		{InRange, Unreachable}: Away,
		{Comparing, Different}: Pairing,
		{Comparing, Same}:      Unchanged,
		{Pairing, Paired}:      Sending,
		{Pairing, NotPaired}:   Unpaired,
		{Sending, Committed}:   Finished,
		{Sending, Interrupted}: Broken,
	}
}

// Step is the figure as a pure function: the state that follows, and false
// where it has no such edge; the state then stays.
func Step(s State, e Event) (State, bool) {
	next, ok := transitions()[edge{s, e}]
	if !ok {
		return s, false
	}
	return next, true
}

// Terminal tells whether a backup is over in this state.
func (s State) Terminal() bool { return s >= Finished }

// Drive runs the machine from its start. do carries out what a state stands
// for and says what came of it; an error ends the run in that state.
func Drive(ctx context.Context, do func(context.Context, State) (Event, error)) (State, error) {
	state, event := Started, Begin
	for {
		next, ok := Step(state, event)
		if !ok {
			return state, fmt.Errorf("cannot go on from state %d of a backup with event %d", state, event)
		}
		if state = next; state.Terminal() {
			return state, nil
		}
		var err error
		if event, err = do(ctx, state); err != nil {
			return state, err
		}
	}
}
