package bluez

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/godbus/dbus/v5"
)

// meeting is what a Server remembers of a peer's last visit.
type meeting struct {
	begun  bool // we saw it begin
	served bool // it led to a connection of the profile
	early  bool // which we were handed before we heard that the peer is here
	stale  bool // the bond is to be removed
}

// Expect names the peers that a Server lets in at any time, as far as Bluetooth
// is concerned: those that a session would know. They keep getting a link when
// one side has lost the bond; outside the window it is one without a bond.
func (c *Client) Expect(peers ...Address) {
	c.mu.Lock()
	c.known = make(map[Address]bool, len(peers))
	for _, p := range peers {
		c.known[p] = true
	}
	c.mu.Unlock()
	c.hint()
}

// welcome tells whether pairing with a peer is expected now. The caller holds mu.
func (c *Client) welcome(path dbus.ObjectPath) bool {
	at, peer, err := splitDevicePath(path)
	if err != nil {
		return false
	}
	a, ok := c.tree.choose(c.cfg.Adapter)
	return ok && at == a.path && (c.expected[path] || c.known[peer] || c.open())
}

// agentNeeded tells whether somebody may ask for a link now: anybody in the
// window, and otherwise an expected peer that is here. The caller holds mu.
func (c *Client) agentNeeded() bool {
	if c.open() {
		return true
	}
	for path, d := range c.tree.devices {
		if d.connected && c.welcome(path) {
			return true
		}
	}
	return false
}

// visit follows the coming and going of a Server's peers. BlueZ does not let a
// peer that has lost its bond make a new one while we have ours (its setting
// JustWorksRepairing), and tells nobody: the peer comes and goes without a
// connection. Its bond is then removed here, too. Should that have had another
// reason, little is lost: the peer gets links without a bond from then on.
func (c *Client) visit(path dbus.ObjectPath, before, after device) {
	if c.cfg.Role != Server || before.connected == after.connected {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.hint()
	m := c.met[path]
	switch {
	case after.connected:
		// Before our profile is registered there is nothing that could lead to a
		// connection: that visit says nothing of the bond.
		m = meeting{begun: c.registered != "" && c.registered == c.owner, served: m.early}
	case m.begun && !m.served && after.paired && c.welcome(path):
		m.stale = true
	}
	if len(c.met) < objectLimit {
		c.met[path] = m
	}
}

// servedLocked notes a connection of the profile. Calls and signals are taken up
// beside each other: this one may overtake the news that the peer has come. The
// caller holds mu.
func (c *Client) servedLocked(path dbus.ObjectPath) {
	if len(c.met) < objectLimit {
		c.met[path] = meeting{begun: true, served: true, early: !c.tree.devices[path].connected}
	}
}

// removeStale removes the bonds that the other side has lost.
func (c *Client) removeStale(ctx context.Context, a adapter) error {
	c.mu.Lock()
	paths := slices.Collect(maps.Keys(c.met))
	paths = slices.DeleteFunc(paths, func(p dbus.ObjectPath) bool { return !c.met[p].stale })
	for _, p := range paths {
		delete(c.met, p)
	}
	c.mu.Unlock()
	var errs []error
	for _, p := range paths {
		c.log.Info("the bond does not hold; removing it", "device", p)
		errs = append(errs, c.forget(ctx, a, p))
	}
	return errors.Join(errs...)
}

// Forget removes the bond with a peer, where there is one.
func (c *Client) Forget(ctx context.Context, peer Address) error {
	c.mu.Lock()
	a, there := c.tree.choose(c.cfg.Adapter)
	path := devicePath(a.path, peer)
	_, known := c.tree.devices[path]
	c.mu.Unlock()
	if !there || !known {
		return nil
	}
	return c.forget(ctx, a, path)
}

// forget removes a peer and its bond.
func (c *Client) forget(ctx context.Context, a adapter, path dbus.ObjectPath) error {
	err := c.do(ctx, a.path, adapterInterface+".RemoveDevice", path)
	if err != nil && !errors.Is(err, ErrNoService) { // gone already
		return fmt.Errorf("cannot forget the bond: %w", err)
	}
	c.update(func() { c.tree.remove(path, []string{deviceInterface}) })
	return nil
}
