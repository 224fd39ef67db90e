package busapi

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// server is what both daemons' objects have in common: the name, the calls that
// are running, who may make them, agents, subscribers and properties.
type server struct {
	conn  *dbus.Conn
	log   *slog.Logger
	name  string
	path  dbus.ObjectPath
	iface string

	calls     *calls
	authority *authority
	agents    agents
	subs      subscribers
	tree      *tree
	stale     chan struct{} // holds one token when the properties may have changed
	ready     chan struct{} // closed when the name is ours
}

func newServer(conn *dbus.Conn, log *slog.Logger, name string, path dbus.ObjectPath, iface string) *server {
	return &server{
		conn: conn, log: log, name: name, path: path, iface: iface,
		calls: newCalls(), authority: newAuthority(conn), tree: newTree(conn, path, iface),
		stale: make(chan struct{}, 1), ready: make(chan struct{}),
	}
}

// Ready is closed when Run has claimed the name and calls are answered.
func (s *server) Ready() <-chan struct{} { return s.ready }

// Refresh has Run read the status again and signal which properties changed.
// It returns at once.
func (s *server) Refresh() {
	select {
	case s.stale <- struct{}{}:
	default:
	}
}

// Emit sends an event to the subscribers.
func (s *server) Emit(e Event) {
	if err := s.subs.send(s.conn, s.path, s.iface, "Event", encodeEvent(e)); err != nil {
		s.log.Debug("cannot emit an event", "event", e.Event, "error", err)
	}
}

// run serves until ctx ends (nil) or the bus goes away (an error). update reads
// the status into the properties.
func (s *server) run(ctx context.Context, methods map[string]any, update func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals, stop, err := listen(s.conn, ownerRule(dbus.WithMatchArg(2, "")))
	if err != nil {
		return err
	}
	defer stop()
	s.refresh(ctx, update)
	if err := s.tree.export(methods); err != nil {
		return fmt.Errorf("cannot export %s: %w", s.path, err)
	}
	s.calls.open(ctx)
	defer s.shut(cancel)
	if err := s.claim(); err != nil {
		return err
	}
	close(s.ready)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx, signals)
	}()
	defer func() { cancel(); <-watched }()
	return s.loop(ctx, update)
}

func (s *server) claim() error {
	reply, err := s.conn.RequestName(s.name, dbus.NameFlagDoNotQueue)
	if err != nil {
		return fmt.Errorf("cannot claim %s: %w", s.name, fromBusError(err))
	}
	if reply != dbus.RequestNameReplyPrimaryOwner {
		return fmt.Errorf("cannot claim %s: %w: is another daemon running on this bus?", s.name, ErrNameTaken)
	}
	return nil
}

func (s *server) loop(ctx context.Context, update func(context.Context) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.conn.Context().Done():
			return fmt.Errorf("cannot serve %s: the bus connection was lost", s.name)
		case <-s.stale:
			s.refresh(ctx, update)
		}
	}
}

func (s *server) refresh(ctx context.Context, update func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	if err := update(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("cannot refresh the properties", "error", err)
	}
}

// watch ends what belongs to connections that leave the bus.
func (s *server) watch(ctx context.Context, signals <-chan *dbus.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case signal, open := <-signals:
			if !open {
				return
			}
			if name, owner, ok := ownerChange(signal); ok && owner == "" {
				s.calls.left(name) // first: RegisterAgent and Subscribe rely on it
				s.agents.left(name)
				s.subs.remove(name)
			}
		}
	}
}

// shut gives the name back, ends all calls, waits for them and tells the agents
// that they are no longer needed.
func (s *server) shut(cancel func()) {
	if _, err := s.conn.ReleaseName(s.name); err != nil {
		s.log.Debug("cannot release the name", "name", s.name, "error", err)
	}
	cancel()
	s.calls.close()
	for _, a := range s.agents.takeAll() {
		s.conn.Object(a.sender, a.path).Call(busfiles.AgentInterface+".Release", dbus.FlagNoReplyExpected)
	}
}

// serve runs one method call: admitted, allowed, ended when its caller leaves.
func serve[T any](s *server, sender dbus.Sender, method, action string, do func(context.Context) (T, error)) (T, *dbus.Error) {
	v, err := admit(s, string(sender), action, do)
	if err != nil {
		s.log.Info("a call failed", "method", method, "caller", string(sender), "error", err)
	}
	if action != actionNone {
		s.Refresh()
	}
	return v, toBusError(err)
}

func admit[T any](s *server, sender, action string, do func(context.Context) (T, error)) (v T, err error) {
	ctx, end, err := s.calls.begin(sender)
	if err != nil {
		return v, err
	}
	defer end()
	if action != actionNone {
		if err := s.authority.allow(ctx, sender, action, true); err != nil {
			return v, err
		}
	}
	release, err := s.calls.slot()
	if err != nil {
		return v, err
	}
	defer release()
	return do(ctx)
}

// serveDict is serve for a method that answers with one value.
func serveDict[T any](s *server, sender dbus.Sender, method, action string, do func(context.Context) (T, error)) (Dict, *dbus.Error) {
	v, err := serve(s, sender, method, action, do)
	if err != nil {
		return nil, err
	}
	return serverCodec().encode(v), nil
}

// serveList is serve for a method that answers with a list of values.
func serveList[T any](s *server, sender dbus.Sender, method, action string, do func(context.Context) ([]T, error)) ([]Dict, *dbus.Error) {
	list, err := serve(s, sender, method, action, do)
	if err != nil {
		return nil, err
	}
	return encodeAll(serverCodec(), list), nil
}

// serveNothing is serve for a method that answers with nothing.
func serveNothing(s *server, sender dbus.Sender, method, action string, do func(context.Context) error) *dbus.Error {
	_, err := serve(s, sender, method, action, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, do(ctx)
	})
	return err
}

// subscription is the pair of methods that both daemons have.
func (s *server) subscription(action string, methods map[string]any) {
	methods["Subscribe"] = func(sender dbus.Sender) *dbus.Error {
		return serveNothing(s, sender, "Subscribe", action, func(ctx context.Context) error {
			if err := s.subs.add(string(sender)); err != nil {
				return err
			}
			if ctx.Err() != nil { // left meanwhile, perhaps before it was on the list
				s.subs.remove(string(sender))
			}
			return ctx.Err()
		})
	}
	methods["Unsubscribe"] = func(sender dbus.Sender) *dbus.Error {
		return serveNothing(s, sender, "Unsubscribe", actionNone, func(context.Context) error {
			s.subs.remove(string(sender))
			return nil
		})
	}
}

// peerObject shows a paired reader or device as an object of its own.
func peerObject(p PeerInfo) object {
	return object{iface: busfiles.PeerInterface, props: map[string]any{
		"Id": toBus(p.ID), "Name": toBus(p.Name), "Address": toBus(p.Address),
		"Paired": p.Paired, "InRange": p.InRange,
	}}
}
