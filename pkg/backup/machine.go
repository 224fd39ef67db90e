package backup

import (
	"context"
	"fmt"
)

// State is where a backup stands in FIG. 5. One walk goes from step 510 until it
// comes back there; the terminal states say how it did. A walk that the owner
// asks for leaves out the steps 512 and 516, and with 512 also 514 (paragraph 36).
type State uint8

// The states, each with the figure's step that it waits in.
const (
	Started     State = iota // 510
	Configured               // 512: has anybody said whether and when to back up?
	Configuring              // 514: the owner is asked
	Elapsing                 // 516: has the time span passed?
	InRange                  // 518: is the reader there?
	Comparing                // 520: have the contents changed?
	Pairing                  // 522: is there a session with a paired reader?
	Sending                  // 524: the data set goes to the reader
	Finished                 // the data set is committed; the span begins anew
	Unchanged                // 520: no; the last snapshot is still true, and the span begins anew
	Away                     // 518: no
	Unpaired                 // 522: no pairing, and the owner gave none
	Broken                   // 524 was interrupted; a later backup goes on with it
	Waiting                  // 516: not yet
	Chosen                   // 514: the owner has configured it
	Disabled                 // 512 or 514: the owner wants none by itself
	Unanswered               // 514: nobody answered; ask again another time
	Undecided                // 520: whose contents there are to be is for the owner to say first
)

// Event is what moves a backup on.
type Event uint8

// The events.
const (
	Begin   Event = iota // the owner asks for a backup
	Tick                 // it may be time for one
	Known                // when to back up has been said
	Unknown              // nothing has been said
	Off                  // that there are to be none has been said
	Silent               // the owner gave no answer
	TimeUp
	NotYet
	Reachable
	Unreachable
	Different
	Same
	Foreign // the reader has the data of an earlier device, and this one has none
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
		{Started, Tick}:        Configured,
		{Configured, Known}:    Elapsing,
		{Configured, Unknown}:  Configuring,
		{Configured, Off}:      Disabled,
		{Configuring, Known}:   Chosen,
		{Configuring, Off}:     Disabled,
		{Configuring, Silent}:  Unanswered,
		{Elapsing, TimeUp}:     InRange,
		{Elapsing, NotYet}:     Waiting,
		{InRange, Reachable}:   Comparing,
		{InRange, Unreachable}: Away,
		{Comparing, Different}: Pairing,
		{Comparing, Same}:      Unchanged,
		{Comparing, Foreign}:   Undecided,
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

// Resets tells whether the time span between two backups begins anew when a walk
// ends in this state.
func (s State) Resets() bool { return s == Finished || s == Unchanged }

// Drive runs the machine from its start: with Begin when the owner asks, with
// Tick when it runs by itself. do carries out what a state stands for and says
// what came of it; an error ends the run in that state.
func Drive(ctx context.Context, event Event, do func(context.Context, State) (Event, error)) (State, error) {
	state := Started
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
