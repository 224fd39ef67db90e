package busapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// Follower is told what FollowDevice and FollowReader see, from one goroutine.
type Follower struct {
	Event   func(Event)
	Running func(bool) // the daemon is there (again), or is not; first at the start
}

// FollowDevice follows reprovisiond's events until ctx ends, which gives nil. It
// outlives the daemon: when that comes back it subscribes again. The error
// wraps ErrNotRunning when there is no bus and ErrNotAllowed when the caller
// may not read events.
func FollowDevice(ctx context.Context, env func(string) string, f Follower) error {
	return follow(ctx, DeviceBus(env), DeviceName, DevicePath, busfiles.DeviceInterface, f)
}

// FollowReader is FollowDevice for scrd.
func FollowReader(ctx context.Context, env func(string) string, f Follower) error {
	return follow(ctx, ReaderBus(env), ReaderName, ReaderPath, busfiles.ReaderInterface, f)
}

// following follows a daemon from one of its runs to the next, on a connection of
// its own.
type following struct {
	client // owner is empty while the daemon is not there
	name   string

	attach func(ctx context.Context, owner string) error // at a new owner of the name; "" is none
	signal func(*dbus.Signal)                            // another signal
}

// run ends with ctx, which gives nil, or an error of attach.
func (w *following) run(ctx context.Context, address string) error {
	conn, err := Connect(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	w.conn = conn
	signals, stop, err := listen(conn, ownerRule(dbus.WithMatchArg(0, w.name)))
	if err != nil {
		return err
	}
	defer stop()
	owner, err := findOwner(ctx, conn, w.name, false)
	if err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	if err := w.follow(ctx, owner); err != nil {
		return err
	}
	return w.loop(ctx, signals)
}

func (w *following) follow(ctx context.Context, owner string) error {
	if w.owner = owner; owner != "" {
		w.object = w.conn.Object(owner, w.path)
	}
	return w.attach(ctx, owner)
}

func (w *following) loop(ctx context.Context, signals <-chan *dbus.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s, open := <-signals:
			if !open {
				return fmt.Errorf("%w: the bus connection was lost", ErrNotRunning)
			}
			if err := w.handle(ctx, s); err != nil {
				return err
			}
		}
	}
}

func (w *following) handle(ctx context.Context, s *dbus.Signal) error {
	name, owner, ok := ownerChange(s)
	switch {
	case !ok:
		w.signal(s)
	case name == w.name && owner != w.owner:
		return w.follow(ctx, owner)
	}
	return nil
}

// events follows the events of a daemon.
type events struct {
	following
	Follower
}

func follow(ctx context.Context, address, name string, path dbus.ObjectPath, iface string, f Follower) error {
	w := &events{Follower: f, following: following{client: client{path: path, iface: iface}, name: name}}
	w.attach, w.signal = w.subscribe, w.event
	return w.run(ctx, address)
}

func (w *events) event(s *dbus.Signal) {
	if w.owner == "" || s.Sender != w.owner || s.Name != w.iface+".Event" || len(s.Body) != 1 {
		return
	}
	if d, ok := s.Body[0].(Dict); ok {
		if e, ok := decodeEvent(d); ok {
			w.Event(e)
		}
	}
}

// subscribe subscribes at a new owner of the name.
func (w *events) subscribe(ctx context.Context, owner string) error {
	if owner != "" {
		err := w.call(ctx, "Subscribe", nil)
		if errors.Is(err, ErrNotRunning) { // gone again; its signal is on the way
			w.owner = ""
		} else if err != nil && ctx.Err() == nil {
			return fmt.Errorf("cannot subscribe to events: %w", err)
		}
	}
	w.Running(w.owner != "")
	return nil
}
