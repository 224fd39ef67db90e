package bluez

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// Role says which half of the profile a client registers.
type Role string

// The halves.
const (
	Server Role = "server" // the reader: is connected to
	Dialer Role = "client" // the device: connects
)

// Config is what a Client needs.
type Config struct {
	Conn    *dbus.Conn // to the system bus; this client's own
	Role    Role
	Adapter string // "hci1", an address, or "" for the first
	Name    string // that peers see; "" leaves the adapter's
	// Power switches the adapter on when it appears. An owner who switches it
	// off afterwards is obeyed.
	Power  bool
	Logger *slog.Logger
	// OnState, if set, is called at each change of the state, in order. Like
	// OnNear it must not block and must not wait for the client.
	OnState func(State)
	// OnNear, if set, is called when BlueZ says that a peer has connected,
	// whoever of the two began.
	OnNear func(Address)
}

// Socket is one connection of the profile.
type Socket struct {
	File  *os.File // in non-blocking mode; deadlines work
	Local Address
	Peer  Address
}

// pendingLimit bounds the connections that wait for Accept.
const pendingLimit = 8

// callTime bounds a call that BlueZ answers from what it knows.
const callTime = 10 * time.Second

// Client follows one adapter of one bluetoothd.
type Client struct {
	cfg     Config
	log     *slog.Logger
	kick    chan struct{} // something may have to be set at BlueZ
	sockets chan Socket   // that a Server was given
	dialing chan struct{} // holds one token while a Dial is under way
	setting chan struct{} // likewise while settings are made

	telling sync.Mutex // keeps OnState in order; taken before mu

	mu         sync.Mutex
	owner      string // bluetoothd's unique name; "" while it is not there
	registered string // the owner that has our profile
	tree       tree
	last       State                             // that OnState was told
	changed    chan struct{}                     // closed and replaced at each change
	window     time.Time                         // until when this host may be seen and paired with
	powered    dbus.ObjectPath                   // the adapter that was switched on
	agent      string                            // the owner that has our agent
	known      map[Address]bool                  // peers that may come at any time
	met        map[dbus.ObjectPath]meeting       // by a Server
	expected   map[dbus.ObjectPath]bool          // a peer that a Dial bonds with
	waiting    map[dbus.ObjectPath]chan *os.File // Dials that wait for their socket
}

// New makes a client that Run brings to life.
func New(cfg Config) *Client {
	return &Client{
		cfg: cfg, log: cfg.Logger,
		kick:     make(chan struct{}, 1),
		sockets:  make(chan Socket, pendingLimit),
		dialing:  make(chan struct{}, 1),
		setting:  make(chan struct{}, 1),
		tree:     newTree(),
		changed:  make(chan struct{}),
		met:      make(map[dbus.ObjectPath]meeting),
		expected: make(map[dbus.ObjectPath]bool),
		waiting:  make(map[dbus.ObjectPath]chan *os.File),
	}
}

// Accept waits for the next connection of a Server. The caller owns its file.
func (c *Client) Accept(ctx context.Context) (Socket, error) {
	select {
	case s := <-c.sockets:
		return s, nil
	case <-ctx.Done():
		return Socket{}, context.Cause(ctx)
	}
}

// Wait waits until Bluetooth can be used. When the context ends first, the error
// wraps the reason and the context's error.
func (c *Client) Wait(ctx context.Context) error {
	for {
		c.mu.Lock()
		err, changed := c.stateLocked().Err(), c.changed
		c.mu.Unlock()
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// update changes what we know, wakes whoever waits and tells the state.
func (c *Client) update(change func()) {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.mu.Lock()
	change()
	s := c.stateLocked()
	told := s == c.last
	c.last = s
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if told {
		return
	}
	c.log.Info("Bluetooth", "adapter", s.Adapter, "usable", s.Err() == nil, "reason", s.Err())
	if c.cfg.OnState != nil {
		c.cfg.OnState(s)
	}
}

// hint has the settings looked at.
func (c *Client) hint() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// call calls a method of BlueZ. Without an answer in the given time the error is
// the cause, else one of the package's.
func (c *Client) call(ctx context.Context, path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	// Never start bluetoothd: whether it runs is the system's business.
	return c.cfg.Conn.Object(service, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
}

// do is call for methods whose answer is only whether they succeeded. It is
// bounded by callTime.
func (c *Client) do(ctx context.Context, path dbus.ObjectPath, method string, args ...any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, ErrNotRunning)
	defer cancel()
	return explain(ctx, c.call(ctx, path, method, args...).Err)
}

func (c *Client) set(ctx context.Context, path dbus.ObjectPath, name string, value any) error {
	err := c.do(ctx, path, propertiesInterface+".Set", adapterInterface, name, dbus.MakeVariant(value))
	if err != nil {
		return fmt.Errorf("cannot set %s of the adapter: %w", name, err)
	}
	return nil
}
