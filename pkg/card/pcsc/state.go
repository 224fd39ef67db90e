//go:build cgo

package pcsc

import (
	"slices"
	"strings"
	"time"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
)

// flagBits are the flags in a reader's state. The upper half is pcsc-lite's
// counter of insertions and removals.
const flagBits = 0xFFFF

// readerState is what the service says of one reader.
type readerState struct {
	name  string
	event scard.StateFlag // EventState, counter included
}

// present tells whether a card is in the reader, readable or not.
func (s readerState) present() bool { return s.event&flagBits&scard.StatePresent != 0 }

// counter changes with each insertion and removal.
func (s readerState) counter() uint16 { return uint16(s.event >> 16) }

// listReaders gives the names of all readers, which may be none.
func listReaders(c *scard.Context) ([]string, error) {
	names, err := c.ListReaders()
	if isCode(err, scard.ErrNoReadersAvailable) {
		return nil, nil
	}
	return names, err
}

// listStates asks for the state of all readers. It returns as soon as a reader
// differs from what before says of it, or when timeout has passed.
//
// The binding keeps the reader's name alive for the C library in a map by that
// name, so that a second caller with the same name would have the first one's
// freed under it. The tag, one per caller, makes the keys differ; the C library
// does not see it behind a NUL.
func listStates(c *scard.Context, before []readerState, timeout time.Duration, tag string) ([]readerState, error) {
	names, err := listReaders(c)
	if err != nil || len(names) == 0 {
		return nil, err // GetStatusChange must not be called without a reader
	}
	ask := make([]scard.ReaderState, len(names))
	for i, name := range names {
		state := known(before, name)
		ask[i] = scard.ReaderState{Reader: name + "\x00" + tag, CurrentState: state, EventState: state}
	}
	if err := c.GetStatusChange(ask, timeout); err != nil && !isCode(err, scard.ErrTimeout) {
		return nil, err
	}
	states := make([]readerState, len(names))
	for i, name := range names {
		states[i] = readerState{name: name, event: ask[i].EventState &^ scard.StateChanged}
	}
	return states, nil
}

// known is the state of a reader as the service gave it last; StateUnaware makes
// the service answer at once.
func known(before []readerState, name string) scard.StateFlag {
	for _, s := range before {
		if s.name == name {
			return s.event
		}
	}
	return scard.StateUnaware
}

// candidates orders the readers whose name contains match: the one used last
// first, the others as the service lists them.
func candidates(names []string, match, last string) []string {
	var list []string
	for _, name := range names {
		switch {
		case !strings.Contains(name, match):
		case name == last:
			list = slices.Insert(list, 0, name)
		default:
			list = append(list, name)
		}
	}
	return list
}

// choose finds the reader to use: the first candidate that has a card, else the
// first.
func choose(states []readerState, match, last string) (readerState, error) {
	byName := map[string]readerState{}
	var names []string
	for _, s := range states {
		byName[s.name] = s
		names = append(names, s.name)
	}
	names = candidates(names, match, last)
	if len(names) == 0 {
		return readerState{}, card.ErrNoReader
	}
	for _, name := range names {
		if byName[name].present() {
			return byName[name], nil
		}
	}
	return byName[names[0]], nil
}
