package enforce

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// logind's manager and its sessions.
const (
	logindName    = "org.freedesktop.login1"
	logindPath    = dbus.ObjectPath("/org/freedesktop/login1")
	logindIface   = logindName + ".Manager"
	sessionIface  = logindName + ".Session"
	sessionsPath  = logindPath + "/session"
	propsIface    = "org.freedesktop.DBus.Properties"
	propsChanged  = "PropertiesChanged"
	sessionNew    = "SessionNew"
	lockedHint    = "LockedHint"
	queuedSignals = 64
)

// Sessions locks the screens of all who are logged in. On, it does nothing: to unlock
// a screen is its owner's business, with the password.
type Sessions struct {
	conn *dbus.Conn
}

// NewSessions makes the switch.
func NewSessions(conn *dbus.Conn) *Sessions { return &Sessions{conn: conn} }

// Switch implements Function.
func (s *Sessions) Switch(ctx context.Context, on bool) error {
	if on {
		return nil
	}
	err := s.conn.Object(logindName, logindPath).CallWithContext(ctx, logindIface+".LockSessions", 0).Err
	if err != nil {
		return fmt.Errorf("cannot lock the sessions: %w", err)
	}
	return nil
}

// Run calls opened whenever a session begins or is unlocked, until the context ends,
// whose error it returns. Anybody may send such a signal: all that may come of it is
// another lock.
func (s *Sessions) Run(ctx context.Context, opened func()) error {
	signals := make(chan *dbus.Signal, queuedSignals)
	s.conn.Signal(signals)
	defer s.conn.RemoveSignal(signals)
	for _, rule := range [][]dbus.MatchOption{
		{dbus.WithMatchInterface(logindIface), dbus.WithMatchMember(sessionNew)},
		{dbus.WithMatchInterface(propsIface), dbus.WithMatchMember(propsChanged),
			dbus.WithMatchPathNamespace(sessionsPath), dbus.WithMatchArg(0, sessionIface)},
	} {
		if err := s.conn.AddMatchSignalContext(ctx, append(rule, dbus.WithMatchSender(logindName))...); err != nil {
			return fmt.Errorf("cannot listen to the bus: %w", err)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case signal, ok := <-signals:
			if !ok {
				return nil // the connection is gone, and others say so
			}
			if opens(signal) {
				opened()
			}
		}
	}
}

// opens tells whether a signal says that a session begins or is unlocked.
func opens(s *dbus.Signal) bool {
	switch s.Name {
	case logindIface + "." + sessionNew:
		return true
	case propsIface + "." + propsChanged:
		var iface string
		var changed map[string]dbus.Variant
		var gone []string
		if dbus.Store(s.Body, &iface, &changed, &gone) != nil || iface != sessionIface {
			return false
		}
		locked, told := changed[lockedHint].Value().(bool)
		return told && !locked
	}
	return false
}
