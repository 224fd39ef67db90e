package bluez

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

var errUnexpectedPeer = errors.New("pairing with this peer is not expected")

// agentMethods are those of Agent1. Without a display and keys nothing that asks
// for a code can be answered; the other questions depend on who asks.
func (c *Client) agentMethods() map[string]any {
	return map[string]any{
		"Release":              func(dbus.Sender) *dbus.Error { return nil },
		"Cancel":               func(dbus.Sender) *dbus.Error { return nil },
		"RequestPinCode":       func(dbus.Sender, dbus.ObjectPath) (string, *dbus.Error) { return "", rejected(errNoCode) },
		"RequestPasskey":       func(dbus.Sender, dbus.ObjectPath) (uint32, *dbus.Error) { return 0, rejected(errNoCode) },
		"DisplayPinCode":       func(dbus.Sender, dbus.ObjectPath, string) *dbus.Error { return rejected(errNoCode) },
		"DisplayPasskey":       func(dbus.Sender, dbus.ObjectPath, uint32, uint16) *dbus.Error { return rejected(errNoCode) },
		"RequestConfirmation":  func(s dbus.Sender, path dbus.ObjectPath, _ uint32) *dbus.Error { return c.answer(s, path) },
		"RequestAuthorization": func(s dbus.Sender, path dbus.ObjectPath) *dbus.Error { return c.answer(s, path) },
		"AuthorizeService":     c.authorizeService,
	}
}

var errNoCode = errors.New("pairing with a code is not offered")

// answer lets the expected peer bond, and everybody in the reader's window.
func (c *Client) answer(sender dbus.Sender, path dbus.ObjectPath) *dbus.Error {
	if !c.fromBluez(string(sender)) {
		return rejected(errStranger)
	}
	if !c.expects(path) {
		c.log.Warn("refused a Bluetooth pairing", "device", path)
		return rejected(errUnexpectedPeer)
	}
	return nil
}

func (c *Client) authorizeService(sender dbus.Sender, path dbus.ObjectPath, uuid string) *dbus.Error {
	if uuid != ProfileUUID {
		return rejected(errors.New("this agent answers for its own service only"))
	}
	return c.answer(sender, path)
}

func (c *Client) expects(path dbus.ObjectPath) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.welcome(path)
}

// beginAgent registers the agent with one bluetoothd, and makes it the one that
// answers for pairings that others begin.
func (c *Client) beginAgent(ctx context.Context, owner string) error {
	c.mu.Lock()
	done := c.agent == owner
	c.mu.Unlock()
	if done {
		return nil
	}
	if err := c.registerAgent(ctx); err != nil {
		return err
	}
	if err := c.do(ctx, rootPath, agentManagerInterface+".RequestDefaultAgent", agentPath); err != nil {
		return errors.Join(fmt.Errorf("cannot become the pairing agent: %w", err), c.unregisterAgent(ctx))
	}
	c.mu.Lock()
	c.agent = owner
	c.mu.Unlock()
	return nil
}

func (c *Client) endAgent(ctx context.Context, owner string) error {
	c.mu.Lock()
	there := c.agent == owner
	c.agent = ""
	c.mu.Unlock()
	if !there {
		return nil
	}
	return c.unregisterAgent(ctx)
}

func (c *Client) registerAgent(ctx context.Context) error {
	err := c.do(ctx, rootPath, agentManagerInterface+".RegisterAgent", agentPath, capability)
	if err != nil && !errors.Is(err, errExists) {
		return fmt.Errorf("cannot register the pairing agent: %w", err)
	}
	return nil
}

func (c *Client) unregisterAgent(ctx context.Context) error {
	if err := c.do(ctx, rootPath, agentManagerInterface+".UnregisterAgent", agentPath); err != nil {
		return fmt.Errorf("cannot unregister the pairing agent: %w", err)
	}
	return nil
}
