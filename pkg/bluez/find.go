package bluez

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/godbus/dbus/v5"
)

// The bounds of looking for a peer that BlueZ does not know.
const (
	pageTime     = 12 * time.Second        // a page lasts 5.12 s, and may have to wait for another
	noticeTime   = 3 * time.Second         // from a link to BlueZ's object, on a busy host
	idleTime     = 2500 * time.Millisecond // until the kernel drops a link that nobody uses
	discoverTime = 11 * time.Second        // an inquiry lasts 10.24 s
)

// find is the peer's object. Where BlueZ has none, the peer is paged: the link
// makes BlueZ know it, whether it lets itself be found or not. Hosts that do not
// let us page look for it by discovery.
func (c *Client) find(ctx context.Context, a adapter, peer Address) (device, error) {
	path := devicePath(a.path, peer)
	c.mu.Lock()
	d, known := c.tree.devices[path]
	c.mu.Unlock()
	if known {
		return d, nil
	}
	bounded, cancel := context.WithTimeoutCause(ctx, pageTime, ErrAbsent)
	defer cancel()
	for {
		d, err := c.findByPage(bounded, a.address, peer, path)
		switch {
		case errors.Is(err, errCannotPage):
			c.log.Debug("looking for the peer by discovery", "reason", err)
			return c.discover(ctx, a, path)
		case !errors.Is(err, errUnnoticed):
			return d, err
		}
		c.log.Debug("paging the peer again", "peer", peer, "reason", err)
		select {
		case <-time.After(idleTime):
		case <-bounded.Done():
			return device{}, fmt.Errorf("cannot find the peer: %w", context.Cause(bounded))
		}
	}
}

// errUnnoticed is a link that BlueZ did not take for a new peer: it is from
// before BlueZ forgot the peer, and has to end first.
var errUnnoticed = errors.New("BlueZ did not notice the link")

// findByPage holds a link until BlueZ has the peer.
func (c *Client) findByPage(ctx context.Context, local, peer Address, path dbus.ObjectPath) (device, error) {
	link, err := page(ctx, local, peer)
	if err != nil {
		return device{}, fmt.Errorf("cannot find the peer: %w", err)
	}
	defer closeQuietly(link)
	bounded, cancel := context.WithTimeoutCause(ctx, noticeTime, errUnnoticed)
	defer cancel()
	return c.appear(bounded, path)
}

// closeQuietly closes what has served its purpose.
func closeQuietly(x io.Closer) { _ = x.Close() }

// discover has the adapter look around until the peer is there.
func (c *Client) discover(ctx context.Context, a adapter, path dbus.ObjectPath) (device, error) {
	filter := map[string]dbus.Variant{"Transport": dbus.MakeVariant("bredr")}
	if err := c.do(ctx, a.path, adapterInterface+".SetDiscoveryFilter", filter); err != nil {
		return device{}, fmt.Errorf("cannot discover: %w", err)
	}
	if err := c.do(ctx, a.path, adapterInterface+".StartDiscovery"); err != nil {
		return device{}, fmt.Errorf("cannot discover: %w", err)
	}
	defer func() {
		if err := c.do(context.WithoutCancel(ctx), a.path, adapterInterface+".StopDiscovery"); err != nil {
			c.log.Debug("cannot end the discovery", "error", err)
		}
	}()
	bounded, cancel := context.WithTimeoutCause(ctx, discoverTime, ErrAbsent)
	defer cancel()
	return c.appear(bounded, path)
}

// appear waits for BlueZ to have the peer. It gives up when Bluetooth cannot be
// used any more.
func (c *Client) appear(ctx context.Context, path dbus.ObjectPath) (device, error) {
	for {
		c.mu.Lock()
		d, known := c.tree.devices[path]
		err, changed := c.stateLocked().Err(), c.changed
		c.mu.Unlock()
		if known || err != nil {
			return d, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return device{}, fmt.Errorf("cannot find the peer: %w", context.Cause(ctx))
		}
	}
}
