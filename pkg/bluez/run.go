package bluez

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// reload is how long a bluetoothd that did not say what it has is left alone.
const reload = 2 * time.Second

// Run follows bluetoothd until the context ends, whose error it then returns.
// Any other error means that the connection to the bus is gone. When it
// returns, the profile is not registered any more, and nothing is visible.
func (c *Client) Run(ctx context.Context) error {
	signals, stop, err := c.listen()
	if err != nil {
		return err
	}
	defer stop()
	if err := c.export(); err != nil {
		return fmt.Errorf("cannot offer the Bluetooth profile: %w", err)
	}
	defer c.unexport()
	inner, cancel := context.WithCancel(ctx)
	var company sync.WaitGroup
	company.Go(func() { c.keepSettled(inner) })
	err = c.follow(ctx, signals)
	cancel()
	company.Wait()
	c.leave()
	return err
}

// listen subscribes to all that bluetoothd tells.
func (c *Client) listen() (signals <-chan *dbus.Signal, stop func(), err error) {
	rules := [][]dbus.MatchOption{
		{dbus.WithMatchSender(busDaemon), dbus.WithMatchInterface(busDaemon),
			dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, service)},
		{dbus.WithMatchSender(service), dbus.WithMatchInterface(managerInterface)},
		{dbus.WithMatchSender(service), dbus.WithMatchInterface(propertiesInterface)},
	}
	ch := make(chan *dbus.Signal, 64)
	c.cfg.Conn.Signal(ch)
	stop = func() {
		c.cfg.Conn.RemoveSignal(ch)
		for _, rule := range rules {
			_ = c.cfg.Conn.RemoveMatchSignal(rule...) // gone with the connection otherwise
		}
	}
	for _, rule := range rules {
		if err := c.cfg.Conn.AddMatchSignal(rule...); err != nil {
			stop()
			return nil, nil, fmt.Errorf("cannot listen to the bus: %w", err)
		}
	}
	return ch, stop, nil
}

// follow keeps the tree up to date.
func (c *Client) follow(ctx context.Context, signals <-chan *dbus.Signal) error {
	retry := time.NewTimer(0) // the first look at who is there
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case s, ok := <-signals:
			if !ok {
				return errors.New("the connection to the bus is gone")
			}
			if c.heed(s) {
				retry.Reset(0)
			}
		case <-retry.C:
			if err := c.load(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("cannot learn what bluetoothd has", "error", err)
				retry.Reset(reload)
			}
		}
	}
}

// load reads everything from the bluetoothd that is there now. Signals that were
// sent meanwhile are applied afterwards; they lead to the same end.
func (c *Client) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, ErrNotRunning)
	defer cancel()
	var owner string
	err := c.cfg.Conn.BusObject().CallWithContext(ctx, busDaemon+".GetNameOwner", 0, service).Store(&owner)
	if errors.Is(explain(ctx, err), ErrNotRunning) && ctx.Err() == nil {
		c.adopt("", newTree())
		return nil
	}
	if err != nil {
		return err
	}
	var objects map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	if err := c.call(ctx, "/", managerInterface+".GetManagedObjects").Store(&objects); err != nil {
		return err
	}
	t := newTree()
	for path, interfaces := range objects {
		for name, p := range interfaces {
			t.put(path, name, p)
		}
	}
	c.adopt(owner, t)
	return nil
}

// adopt replaces all that we know.
func (c *Client) adopt(owner string, t tree) {
	c.update(func() {
		c.owner, c.tree, c.powered = owner, t, ""
	})
	c.hint()
}

// heed applies a signal. It returns true when bluetoothd came, went or changed.
// Anybody can send a signal to a connection, so it counts who sent it.
func (c *Client) heed(s *dbus.Signal) (restarted bool) {
	if s.Sender == busDaemon {
		if s.Name == busDaemon+".NameOwnerChanged" && len(s.Body) == 3 && s.Body[0] == service {
			c.update(func() { c.registered, c.agent, c.met = "", "", make(map[dbus.ObjectPath]meeting) })
			c.adopt("", newTree())
			return true
		}
		return false
	}
	if !c.fromBluez(s.Sender) {
		return false
	}
	switch s.Name {
	case managerInterface + ".InterfacesAdded":
		c.added(s.Body)
	case managerInterface + ".InterfacesRemoved":
		c.removed(s.Body)
	case propertiesInterface + ".PropertiesChanged":
		c.propertiesChanged(s.Path, s.Body)
	}
	return false
}

func (c *Client) fromBluez(sender string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owner != "" && sender == c.owner
}

func (c *Client) added(body []any) {
	var path dbus.ObjectPath
	var interfaces map[string]map[string]dbus.Variant
	if dbus.Store(body, &path, &interfaces) != nil {
		return
	}
	c.changeAt(path, func() {
		for name, p := range interfaces {
			c.tree.put(path, name, p)
		}
	})
}

func (c *Client) removed(body []any) {
	var path dbus.ObjectPath
	var interfaces []string
	if dbus.Store(body, &path, &interfaces) != nil {
		return
	}
	c.update(func() {
		c.tree.remove(path, interfaces)
		if c.powered == path {
			c.powered = "" // when it is back, it is switched on again
		}
	})
}

func (c *Client) propertiesChanged(path dbus.ObjectPath, body []any) {
	var name string
	var p map[string]dbus.Variant
	var invalidated []string
	if dbus.Store(body, &name, &p, &invalidated) != nil {
		return
	}
	c.changeAt(path, func() { c.tree.change(path, name, p) })
}

// changeAt applies a change of one object and follows up on it: an adapter may
// need settings, and a peer may be back. A peer that a Dial is connecting to is
// no news.
func (c *Client) changeAt(path dbus.ObjectPath, change func()) {
	var before, after device
	var isAdapter, dialed bool
	c.update(func() {
		before = c.tree.devices[path]
		change()
		after = c.tree.devices[path]
		_, isAdapter = c.tree.adapters[path]
		_, dialed = c.waiting[path]
	})
	if isAdapter {
		c.hint()
	}
	c.visit(path, before, after)
	near := !before.connected && after.connected && !dialed
	if _, peer, err := splitDevicePath(path); near && err == nil && c.cfg.OnNear != nil {
		c.cfg.OnNear(peer)
	}
}
