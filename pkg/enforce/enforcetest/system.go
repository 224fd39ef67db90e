// Package enforcetest plays systemd's manager and logind's on a real bus, as far as
// pkg/enforce asks them. Only tests import it; the real ones are asked in a guest, see
// testdata/vm.
package enforcetest

import (
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"
)

// System is both managers. It is safe for concurrent use.
type System struct {
	conn *dbus.Conn

	mu     sync.Mutex
	calls  []string
	states map[string]string // of units
	fail   map[string]*dbus.Error
	slow   bool
}

// New has the connection own both names. Calls are answered as long as it is open.
func New(conn *dbus.Conn) (*System, error) {
	s := &System{conn: conn, states: make(map[string]string), fail: make(map[string]*dbus.Error)}
	for path, iface := range map[dbus.ObjectPath]string{
		"/org/freedesktop/systemd1":        "org.freedesktop.systemd1.Manager",
		"/org/freedesktop/login1":          "org.freedesktop.login1.Manager",
		"/org/freedesktop/systemd1/unit/x": "org.freedesktop.DBus.Properties",
	} {
		if err := conn.ExportMethodTable(s.methods(), path, iface); err != nil {
			return nil, err
		}
	}
	if err := conn.ExportMethodTable(map[string]any{"Get": s.getOther}, "/org/freedesktop/systemd1/unit/y", "org.freedesktop.DBus.Properties"); err != nil {
		return nil, err
	}
	for _, name := range []string{"org.freedesktop.systemd1", "org.freedesktop.login1"} {
		if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
			return nil, fmt.Errorf("cannot own %s: %d, %w", name, reply, err)
		}
	}
	return s, nil
}

func (s *System) methods() map[string]any {
	return map[string]any{
		"StartUnit": s.startUnit, "StopUnit": s.stopUnit,
		"LoadUnit": s.loadUnit, "Get": s.get, "LockSessions": s.lockSessions,
	}
}

func (s *System) called(format string, args ...any) *dbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := fmt.Sprintf(format, args...)
	s.calls = append(s.calls, call)
	return s.fail[call]
}

// Take returns the calls since the last time: "start UNIT MODE", "stop UNIT MODE",
// "lock".
func (s *System) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Fail has a call, as Take gives it, return an error of that name; "" none any more.
func (s *System) Fail(call, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.fail, call); name != "" {
		s.fail[call] = dbus.NewError(name, []any{"no"})
	}
}

// Slow leaves units between two states from now on.
func (s *System) Slow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = true
}

func (s *System) set(unit, state, between string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow {
		state = between
	}
	s.states[unit] = state
}

func (s *System) startUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	err := s.called("start %s %s", unit, mode)
	if err == nil {
		s.set(unit, "active", "activating")
	}
	return "/job", err
}

func (s *System) stopUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	err := s.called("stop %s %s", unit, mode)
	if err == nil {
		s.set(unit, "inactive", "deactivating")
	}
	return "/job", err
}

func (s *System) loadUnit(unit string) (dbus.ObjectPath, *dbus.Error) {
	if unit != "reprovision-authorized.target" {
		return "/org/freedesktop/systemd1/unit/y", nil
	}
	return "/org/freedesktop/systemd1/unit/x", nil
}

func (s *System) get(iface, name string) (dbus.Variant, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.states["reprovision-authorized.target"]
	if iface != "org.freedesktop.systemd1.Unit" || name != "ActiveState" || state == "" {
		state = "inactive"
	}
	return dbus.MakeVariant(state), nil
}

// getOther is get of the services, of which each stop is awaited.
func (s *System) getOther(string, string) (dbus.Variant, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow {
		return dbus.MakeVariant("deactivating"), nil
	}
	return dbus.MakeVariant("inactive"), nil
}

func (s *System) lockSessions() *dbus.Error { return s.called("lock") }

// Hint tells that a session was locked or unlocked.
func (s *System) Hint(locked bool) error {
	changed := map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(locked), "IdleHint": dbus.MakeVariant(false)}
	return s.conn.Emit("/org/freedesktop/login1/session/_31", "org.freedesktop.DBus.Properties.PropertiesChanged",
		"org.freedesktop.login1.Session", changed, []string{})
}

// Begun tells that there is a new session.
func (s *System) Begun() error {
	return s.conn.Emit("/org/freedesktop/login1", "org.freedesktop.login1.Manager.SessionNew", "3", dbus.ObjectPath("/org/freedesktop/login1/session/_33"))
}
