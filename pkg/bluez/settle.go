package bluez

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// The waits after settings that BlueZ did not take.
const (
	settleMin = time.Second
	settleMax = 30 * time.Second
)

// Show lets this host be found and paired with for the given time: the agent is
// registered, the adapter discoverable and pairable. BlueZ ends the visibility
// itself when the time is over, should this process be gone by then; a
// bluetoothd that is restarted meanwhile is told again.
func (c *Client) Show(ctx context.Context, window time.Duration) error {
	return c.visible(ctx, time.Now().Add(window))
}

// Hide ends what Show began.
func (c *Client) Hide(ctx context.Context) error { return c.visible(ctx, time.Time{}) }

func (c *Client) visible(ctx context.Context, until time.Time) error {
	c.mu.Lock()
	c.window = until
	err := c.stateLocked().Err()
	c.mu.Unlock()
	c.hint() // whatever follows: Run goes on trying
	if err != nil && !errors.Is(err, ErrStarting) {
		return err
	}
	return c.settle(ctx)
}

// open tells whether the window is open. The caller holds mu.
func (c *Client) open() bool { return time.Now().Before(c.window) }

// keepSettled makes the settings whenever they may be wrong.
func (c *Client) keepSettled(ctx context.Context) {
	wait, failure := settleMin, ""
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		case <-timer.C:
		}
		err := c.settle(ctx)
		if err == nil {
			wait, failure = settleMin, ""
			c.atWindowEnd(timer)
			continue
		}
		if ctx.Err() == nil && err.Error() != failure {
			c.log.Warn("cannot settle with bluetoothd", "error", err)
			failure = err.Error()
		}
		timer.Reset(wait)
		wait = min(2*wait, settleMax)
	}
}

// atWindowEnd has the settings made once more when the window closes.
func (c *Client) atWindowEnd(timer *time.Timer) {
	c.mu.Lock()
	left := time.Until(c.window)
	c.mu.Unlock()
	if left > 0 {
		timer.Reset(left + time.Millisecond)
	}
}

// settle registers the profile and gives the adapter what it should have. One
// at a time.
func (c *Client) settle(ctx context.Context) error {
	select {
	case c.setting <- struct{}{}:
		defer func() { <-c.setting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c.mu.Lock()
	owner, registered := c.owner, c.registered
	a, found := c.tree.choose(c.cfg.Adapter)
	c.mu.Unlock()
	if owner == "" {
		return nil
	}
	if registered != owner {
		if err := c.register(ctx, owner); err != nil {
			return err
		}
	}
	if !found {
		return nil
	}
	return errors.Join(c.setAgent(ctx, owner), c.setName(ctx, a), c.setPower(ctx, a), c.setWindow(ctx, a), c.removeStale(ctx, a))
}

func (c *Client) setName(ctx context.Context, a adapter) error {
	if c.cfg.Name == "" || c.cfg.Name == a.alias {
		return nil
	}
	return c.set(ctx, a.path, "Alias", c.cfg.Name)
}

// setPower switches an adapter on, once in its life.
func (c *Client) setPower(ctx context.Context, a adapter) error {
	c.mu.Lock()
	due := c.cfg.Power && c.powered != a.path
	c.mu.Unlock()
	if !due {
		return nil
	}
	if !a.powered {
		if err := c.set(ctx, a.path, "Powered", true); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.powered = a.path
	c.mu.Unlock()
	return nil
}

// setAgent has a Server's agent registered while it is needed.
func (c *Client) setAgent(ctx context.Context, owner string) error {
	if c.cfg.Role != Server {
		return nil
	}
	c.mu.Lock()
	needed := c.agentNeeded()
	c.mu.Unlock()
	if needed {
		return c.beginAgent(ctx, owner)
	}
	return c.endAgent(ctx, owner)
}

// setWindow makes the adapter visible, or invisible, as it should be now. Only
// the reader is ever found; what others want of a device's adapter is theirs.
func (c *Client) setWindow(ctx context.Context, a adapter) error {
	if c.cfg.Role != Server || !a.powered {
		return nil
	}
	c.mu.Lock()
	left := time.Until(c.window)
	c.mu.Unlock()
	if a.deaf {
		// Without a bond of its own BlueZ would not listen for pages, and a
		// reader that has lost one could not be reached by its device.
		if err := c.set(ctx, a.path, "Connectable", true); err != nil {
			return err
		}
	}
	return c.setSeen(ctx, a, left > 0, left)
}

// setSeen sets the time-outs first: BlueZ starts its timer with them.
func (c *Client) setSeen(ctx context.Context, a adapter, on bool, left time.Duration) error {
	for name, is := range map[string]bool{"Discoverable": a.discoverable, "Pairable": a.pairable} {
		if is == on {
			continue
		}
		if on {
			seconds := uint32(left/time.Second) + 1
			if err := c.set(ctx, a.path, name+"Timeout", seconds); err != nil {
				return err
			}
		}
		if err := c.set(ctx, a.path, name, on); err != nil {
			return err
		}
	}
	return nil
}

// register offers our half of the profile to bluetoothd. Neither bond nor
// authorization is asked for: BlueZ encrypts the link as it is, the session
// authenticates, and a peer whose bond one side has lost still gets through.
func (c *Client) register(ctx context.Context, owner string) error {
	uuid := clientUUID
	options := map[string]dbus.Variant{
		"Name":                  dbus.MakeVariant("Reprovision"),
		"Role":                  dbus.MakeVariant(string(c.cfg.Role)),
		"Service":               dbus.MakeVariant(ProfileUUID),
		"AutoConnect":           dbus.MakeVariant(false),
		"RequireAuthentication": dbus.MakeVariant(false),
		"RequireAuthorization":  dbus.MakeVariant(false),
	}
	if c.cfg.Role == Server {
		uuid = serverUUID
		options["Channel"] = dbus.MakeVariant(uint16(0)) // whichever is free
	}
	err := c.do(ctx, rootPath, profileManagerInterface+".RegisterProfile", profilePath, uuid, options)
	if err != nil && !errors.Is(err, errExists) {
		return fmt.Errorf("cannot register the Bluetooth profile: %w", err)
	}
	c.update(func() { c.registered = owner })
	return nil
}

// leaveTime bounds what is said to bluetoothd at the end.
const leaveTime = 3 * time.Second

// leave takes back what Run gave. What bluetoothd does not hear of now it drops
// when the connection closes.
func (c *Client) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	c.mu.Lock()
	owner, registered := c.owner, c.registered
	c.window, c.known = time.Time{}, nil
	c.mu.Unlock()
	if owner != "" && registered == owner {
		if err := c.settle(ctx); err != nil {
			c.log.Debug("cannot hide the adapter", "error", err)
		}
		if err := c.do(ctx, rootPath, profileManagerInterface+".UnregisterProfile", profilePath); err != nil {
			c.log.Debug("cannot unregister the Bluetooth profile", "error", err)
		}
	}
	c.update(func() { c.owner, c.registered, c.tree = "", "", newTree() })
	c.drain()
}
