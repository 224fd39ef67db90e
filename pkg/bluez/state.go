package bluez

// State is what this host's Bluetooth is like.
type State struct {
	Running    bool    // bluetoothd is on the bus
	Adapter    string  // the kernel's name of the adapter in use, "" without one
	Address    Address // of that adapter
	Powered    bool
	Blocked    bool // by rfkill
	Registered bool // bluetoothd knows our profile
	Deaf       bool // a Server's adapter does not listen for peers
}

// Err is nil while Bluetooth can be used, and otherwise ErrNotRunning,
// ErrNoAdapter, ErrBlocked, ErrPoweredOff or ErrStarting.
func (s State) Err() error {
	switch {
	case !s.Running:
		return ErrNotRunning
	case s.Adapter == "":
		return ErrNoAdapter
	case s.Blocked:
		return ErrBlocked
	case !s.Powered:
		return ErrPoweredOff
	case !s.Registered, s.Deaf:
		return ErrStarting
	}
	return nil
}

// blocked is the PowerState of an adapter that rfkill holds down.
const blocked = "off-blocked"

func (c *Client) stateLocked() State {
	s := State{Running: c.owner != "", Registered: c.owner != "" && c.registered == c.owner}
	if a, ok := c.tree.choose(c.cfg.Adapter); ok {
		s.Adapter, s.Address, s.Powered, s.Blocked = a.name(), a.address, a.powered, a.power == blocked
		s.Deaf = a.deaf && c.cfg.Role == Server
	}
	return s
}

// State tells how things are now.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stateLocked()
}
