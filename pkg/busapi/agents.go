package busapi

import (
	"fmt"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"
)

// agent is an object that a client has registered to answer prompts.
type agent struct {
	sender  string // unique name of its connection
	path    dbus.ObjectPath
	trusted bool          // may answer for the owner, not only for its own calls
	turn    chan struct{} // held while it answers: one prompt at a time
}

// agents are the registered ones, in the order of registration, one for each
// connection at most.
type agents struct {
	mu   sync.Mutex
	list []*agent
}

// add registers an agent; an earlier one of the same connection goes.
func (a *agents) add(one *agent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(a.list), func(o *agent) bool { return o.sender == one.sender })
	if len(kept) >= maxAgents {
		return fmt.Errorf("%w: %d agents are registered", ErrBusy, maxAgents)
	}
	a.list = append(kept, one)
	return nil
}

// remove takes back what a connection registered at a path.
func (a *agents) remove(sender string, path dbus.ObjectPath) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.list)
	a.list = slices.DeleteFunc(a.list, func(o *agent) bool { return o.sender == sender && o.path == path })
	if len(a.list) == before {
		return fmt.Errorf("%w: no agent is registered at %s", ErrInvalidArguments, path)
	}
	return nil
}

// left forgets the agent of a connection that is on the bus no more.
func (a *agents) left(sender string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = slices.DeleteFunc(a.list, func(o *agent) bool { return o.sender == sender })
}

// candidates lists whom to ask, best first: the agent of the very caller and
// nobody else, or, where the caller has none, the trusted ones, newest first.
func (a *agents) candidates(caller string) []*agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	var trusted []*agent
	for _, o := range slices.Backward(a.list) {
		if o.sender == caller {
			return []*agent{o}
		}
		if o.trusted {
			trusted = append(trusted, o)
		}
	}
	return trusted
}

// takeAll empties the list, for the daemon's end.
func (a *agents) takeAll() []*agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.list
	a.list = nil
	return all
}
