package enforce_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// system plays systemd's manager and logind's on a real bus, as far as they are
// asked here. The real ones are asked in a guest, see testdata/vm.
type system struct {
	conn *dbus.Conn

	mu     sync.Mutex
	calls  []string
	states map[string]string // of units
	fail   map[string]*dbus.Error
	slow   bool // units stay between two states
}

func newSystem(t *testing.T, bus *bustest.Bus) *system {
	t.Helper()
	s := &system{conn: bus.Connect(t), states: make(map[string]string), fail: make(map[string]*dbus.Error)}
	for path, iface := range map[dbus.ObjectPath]string{
		"/org/freedesktop/systemd1": "org.freedesktop.systemd1.Manager", "/org/freedesktop/login1": "org.freedesktop.login1.Manager",
	} {
		if err := s.conn.Export(s, path, iface); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.conn.Export(s, "/org/freedesktop/systemd1/unit/target", "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"org.freedesktop.systemd1", "org.freedesktop.login1"} {
		if _, err := s.conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *system) called(format string, args ...any) *dbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := fmt.Sprintf(format, args...)
	s.calls = append(s.calls, call)
	return s.fail[call]
}

// take returns the calls since the last time.
func (s *system) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *system) failing(call string, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.fail, call); name != "" {
		s.fail[call] = dbus.NewError(name, []any{"no"})
	}
}

func (s *system) become(unit, state, between string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow {
		state = between
	}
	s.states[unit] = state
}

func (s *system) StartUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	err := s.called("start %s %s", unit, mode)
	if err == nil {
		s.become(unit, "active", "activating")
	}
	return "/job", err
}

func (s *system) StopUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	err := s.called("stop %s %s", unit, mode)
	if err == nil {
		s.become(unit, "inactive", "deactivating")
	}
	return "/job", err
}

func (s *system) StartTransientUnit(unit, mode string, properties []struct {
	Name  string
	Value dbus.Variant
}, auxiliary []struct {
	Name       string
	Properties []struct {
		Name  string
		Value dbus.Variant
	}
}) (dbus.ObjectPath, *dbus.Error) {
	values := make(map[string]string)
	for _, p := range properties {
		values[p.Name] = p.Value.String()
	}
	return "/job", s.called("transient %s %s %s %s", unit, mode, values["TimersMonotonic"], values["Unit"])
}

func (s *system) LoadUnit(string) (dbus.ObjectPath, *dbus.Error) {
	return "/org/freedesktop/systemd1/unit/target", nil
}

func (s *system) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.states["reprovision-authorized.target"]
	if iface != "org.freedesktop.systemd1.Unit" || name != "ActiveState" || state == "" {
		state = "inactive"
	}
	return dbus.MakeVariant(state), nil
}

func (s *system) LockSessions() *dbus.Error { return s.called("lock") }

// hint tells that a session was locked or unlocked, begun that there is a new one.
func (s *system) hint(t *testing.T, locked bool) {
	t.Helper()
	changed := map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(locked), "IdleHint": dbus.MakeVariant(false)}
	err := s.conn.Emit("/org/freedesktop/login1/session/_31", "org.freedesktop.DBus.Properties.PropertiesChanged",
		"org.freedesktop.login1.Session", changed, []string{})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *system) begun(t *testing.T) {
	t.Helper()
	err := s.conn.Emit("/org/freedesktop/login1", "org.freedesktop.login1.Manager.SessionNew", "3", dbus.ObjectPath("/org/freedesktop/login1/session/_33"))
	if err != nil {
		t.Fatal(err)
	}
}
