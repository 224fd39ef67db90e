package busapi

import (
	"fmt"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"
)

// party is a connection to the bus, as far as it matters who may answer for it.
type party struct {
	sender  string // its unique name; empty for the daemon itself
	uid     uint32
	session dbus.ObjectPath // of logind; empty where that is not known
	known   bool            // uid is
}

// agent is an object that a client has registered to answer prompts.
type agent struct {
	party
	path  dbus.ObjectPath
	owner bool          // answers for the owner: a default agent
	turn  chan struct{} // held while it answers: one prompt at a time
}

// agents are the registered ones, in the order of registration, one for each
// connection at most.
type agents struct {
	mu      sync.Mutex
	list    []*agent
	changed chan struct{} // closed when another one answers for the owner
}

// add registers an agent; an earlier one of the same connection goes.
func (a *agents) add(one *agent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(a.list), func(o *agent) bool { return o.sender == one.sender })
	if len(kept) >= maxAgents {
		return fmt.Errorf("%w: %d agents are registered", ErrBusy, maxAgents)
	}
	users := slices.DeleteFunc(slices.Clone(kept), func(o *agent) bool { return o.uid != one.uid })
	if len(users) >= maxUserAgents {
		return fmt.Errorf("%w: %d agents of this user are registered", ErrBusy, maxUserAgents)
	}
	a.list = append(kept, one)
	return nil
}

// appoint makes an agent a default one, and the newest of all.
func (a *agents) appoint(sender string, path dbus.ObjectPath) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, o := range a.list {
		if o.sender == sender && o.path == path {
			appointed := *o // others may be looking at the one before
			appointed.owner = true
			a.list = append(slices.Delete(slices.Clone(a.list), i, i+1), &appointed)
			if a.changed != nil {
				close(a.changed)
				a.changed = nil
			}
			return nil
		}
	}
	return notRegistered(path)
}

func notRegistered(path dbus.ObjectPath) error {
	return fmt.Errorf("%w: no agent is registered at %s", ErrInvalidArguments, cut(string(path), 64))
}

// arrival is closed when another agent answers for the owner.
func (a *agents) arrival() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed == nil {
		a.changed = make(chan struct{})
	}
	return a.changed
}

// remove takes back what a connection registered at a path.
func (a *agents) remove(sender string, path dbus.ObjectPath) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.list)
	a.list = slices.DeleteFunc(a.list, func(o *agent) bool { return o.sender == sender && o.path == path })
	if len(a.list) == before {
		return notRegistered(path)
	}
	return nil
}

// left forgets the agent of a connection that is on the bus no more.
func (a *agents) left(sender string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = slices.DeleteFunc(a.list, func(o *agent) bool { return o.sender == sender })
}

// candidates lists whom to ask, best first. A caller that has an agent is asked
// through it and no other. For one that has none its user's are asked, those of its
// session first, and then those that answer for the owner. Of equals the newest
// comes first, and active puts the default ones of the session in the foreground
// before the others.
func (a *agents) candidates(caller party, active func(dbus.ObjectPath) bool) []*agent {
	var near, user, owners []*agent
	for _, o := range slices.Backward(a.all()) {
		switch {
		case caller.sender != "" && o.sender == caller.sender:
			return []*agent{o}
		case caller.known && o.known && o.uid == caller.uid && o.session == caller.session:
			near = append(near, o)
		case caller.known && o.known && o.uid == caller.uid:
			user = append(user, o)
		case o.owner:
			owners = append(owners, o)
		}
	}
	if len(owners) > 1 {
		back := slices.DeleteFunc(slices.Clone(owners), func(o *agent) bool { return active(o.session) })
		front := slices.DeleteFunc(owners, func(o *agent) bool { return slices.Contains(back, o) })
		owners = slices.Concat(front, back)
	}
	return slices.Concat(near, user, owners)
}

// owners are the default agents.
func (a *agents) owners() []*agent {
	return slices.DeleteFunc(a.all(), func(o *agent) bool { return !o.owner })
}

func (a *agents) all() []*agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

// takeAll empties the list, for the daemon's end.
func (a *agents) takeAll() []*agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.list
	a.list = nil
	return all
}
