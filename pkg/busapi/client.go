package busapi

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// client is a connection to one daemon.
type client struct {
	conn   *dbus.Conn
	object dbus.BusObject
	path   dbus.ObjectPath
	iface  string
	owner  string // the daemon's unique name when we came
}

// dial connects to the bus and finds the daemon. With start set the bus may
// start it (D-Bus activation); without, a daemon that is not there stays so.
func dial(ctx context.Context, address, name string, path dbus.ObjectPath, iface string, start bool) (*client, error) {
	conn, err := Connect(address)
	if err != nil {
		return nil, err
	}
	owner, err := findOwner(ctx, conn, name, start)
	if err != nil {
		_ = conn.Close() // what went wrong before says more
		return nil, fmt.Errorf("cannot reach %s: %w", name, err)
	}
	return &client{conn: conn, object: conn.Object(owner, path), path: path, iface: iface, owner: owner}, nil
}

// findOwner returns the unique name of a name's owner. Calls go to the unique
// name: a secret must not reach whoever takes the name next.
func findOwner(ctx context.Context, conn *dbus.Conn, name string, start bool) (string, error) {
	bus := conn.BusObject()
	if start {
		// This fails too for a daemon that runs and that the bus could not
		// start, so only the look below tells.
		_ = bus.CallWithContext(ctx, busDaemon+".StartServiceByName", 0, name, uint32(0)).Err
	}
	var owner string
	if err := bus.CallWithContext(ctx, busDaemon+".GetNameOwner", 0, name).Store(&owner); err != nil {
		return "", fromBusError(err)
	}
	return owner, nil
}

// Close leaves the bus; the daemon ends the calls that are still running.
func (c *client) Close() error { return c.conn.Close() }

// call makes one method call and stores what it answers. Nothing limits its
// time but ctx: a daemon may wait for a person.
func (c *client) call(ctx context.Context, method string, args []any, answer ...any) error {
	err := c.object.CallWithContext(ctx, c.iface+"."+method, 0, args...).Store(answer...)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fromBusError(err)
}

// callDict makes a call that answers with one value.
func callDict[T any](ctx context.Context, c *client, method string, args ...any) (T, error) {
	var v T
	var d Dict
	if err := c.call(ctx, method, args, &d); err != nil {
		return v, err
	}
	if err := clientCodec().decode(d, &v); err != nil {
		return v, fmt.Errorf("cannot read the answer to %s: %w: %w", method, ErrFailed, err)
	}
	return v, nil
}

// callList makes a call that answers with a list of values.
func callList[T any](ctx context.Context, c *client, method string, args ...any) ([]T, error) {
	var list []Dict
	if err := c.call(ctx, method, args, &list); err != nil {
		return nil, err
	}
	out, err := decodeAll[T](clientCodec(), list)
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s: %w: %w", method, ErrFailed, err)
	}
	return out, nil
}
