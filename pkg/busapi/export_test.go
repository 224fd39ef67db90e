package busapi

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// What tests of the outer package need of the inside.

// SetPromptTime shortens the time that the owner has to answer.
func (d *Device) SetPromptTime(t time.Duration) { d.prompt = t }

// SetUID has the daemon believe that its user is another.
func (d *Device) SetUID(uid uint32) { d.authority.uid = uid }

// Methods are the tables of methods that are exported.
func (d *Device) Methods() map[string]any { return d.methods() }

// Methods are the tables of methods that are exported.
func (r *Reader) Methods() map[string]any { return r.methods() }

// AgentMethods is the table of a client's agent.
func AgentMethods() map[string]any { return newClientAgent(context.Background(), "", nil).methods() }

// Running says how many calls the daemon is in.
func (d *Device) Running() int {
	d.calls.mu.Lock()
	defer d.calls.mu.Unlock()
	n := 0
	for _, calls := range d.calls.bySender {
		n += len(calls)
	}
	return n
}

// Agents says how many agents are registered.
func (d *Device) Agents() int {
	d.agents.mu.Lock()
	defer d.agents.mu.Unlock()
	return len(d.agents.list)
}

// Subscribers says how many clients have subscribed.
func (d *Device) Subscribers() int {
	d.subs.mu.Lock()
	defer d.subs.mu.Unlock()
	return len(d.subs.list)
}

// Conn is the client's connection.
func (c *client) Conn() *dbus.Conn { return c.conn }

// Limits of the package.
const (
	MaxPerSender  = maxPerSender
	MaxCalls      = maxCalls
	MaxList       = maxList
	MaxText       = maxText
	MaxUserAgents = maxUserAgents
)

// ToBusError and FromBusError are the mapping of errors.
func ToBusError(err error) *dbus.Error { return toBusError(err) }

// FromBusError is the reverse of ToBusError.
func FromBusError(err error) error { return fromBusError(err) }

// Appoint asks for the connection's agent to answer for the owner.
func (c *client) Appoint(ctx context.Context, quiet bool) error { return c.appoint(ctx, quiet) }
