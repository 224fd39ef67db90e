package reprovision

import (
	"context"
	"fmt"
)

// State is where a reprovision stands in FIG. 6.
type State uint8

// The states, each with the figure's step that it waits in.
const (
	Initiated  State = iota // 610: the service was started
	Querying                // 612: asking whether the reader has data
	Passcode                // 616: asking whether a further passcode is required
	Prompting               // 618: the owner is asked for it
	Verifying               // 620: the reader verifies what was entered
	Confirming              // 622: the owner is asked whether to go on
	Restoring               // 624: data is fetched and written
	Proving                 // everything restored is read back and compared
	Finished                // done
	NoData                  // 614: the reader has nothing; the owner is told
	Refused                 // wrong passcode, or the owner declined
)

// Event is what moves a reprovision on.
type Event uint8

// The events.
const (
	Begin        Event = iota
	DataFound          // 612: yes
	NoDataFound        // 612: no
	NeedPasscode       // 616: yes
	OpenAlready        // 616: no further passcode is required
	Entered            // 618: the owner entered one
	Accepted           // 620: it was right
	Rejected           // 620: it was wrong and may be tried again
	LockedOut          // 620: it was wrong once too often
	Confirmed          // 622: yes, or no confirmation is wanted
	Declined           // 622: no, or the prompt was cancelled
	Restored           // 624: everything planned was written
	Interrupted        // the link went, or the daemon was stopped
	Proved             // every item read back identical, or is named as failed
)

type edge struct {
	from State
	on   Event
}

// transitions is the figure. What is not in it is refused.
func transitions() map[edge]State {
	return map[edge]State{
		{Initiated, Begin}:        Querying,
		{Querying, DataFound}:     Passcode,
		{Querying, NoDataFound}:   NoData,
		{Passcode, NeedPasscode}:  Prompting,
		{Passcode, OpenAlready}:   Confirming,
		{Prompting, Entered}:      Verifying,
		{Prompting, Declined}:     Refused,
		{Verifying, Accepted}:     Confirming,
		{Verifying, Rejected}:     Prompting,
		{Verifying, LockedOut}:    Refused,
		{Confirming, Confirmed}:   Restoring,
		{Confirming, Declined}:    Refused,
		{Restoring, Restored}:     Proving,
		{Proving, Proved}:         Finished,
		{Querying, Interrupted}:   Initiated,
		{Passcode, Interrupted}:   Initiated,
		{Prompting, Interrupted}:  Initiated,
		{Verifying, Interrupted}:  Initiated,
		{Confirming, Interrupted}: Initiated,
		{Restoring, Interrupted}:  Initiated,
		{Proving, Interrupted}:    Initiated,
	}
}

// Step is FIG. 6 as a pure function: the state that follows, and false where
// the figure has no such edge; the state then stays.
func Step(s State, e Event) (State, bool) {
	next, ok := transitions()[edge{s, e}]
	if !ok {
		return s, false
	}
	return next, true
}

// Terminal tells whether a reprovision is over in this state.
func (s State) Terminal() bool {
	return s == Finished || s == NoData || s == Refused
}

// Drive runs the machine from its start. do carries out what a state stands
// for and says what came of it; an error ends the run in that state, and a
// later run starts anew.
func Drive(ctx context.Context, do func(context.Context, State) (Event, error)) (State, error) {
	state, event := Initiated, Begin
	for {
		next, ok := Step(state, event)
		if !ok {
			return state, fmt.Errorf("cannot go on from state %d of a reprovision with event %d", state, event)
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
