package enforce

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/renameio/v2"
)

// The units below systemd/ that this package is about.
const (
	Target       = "reprovision-authorized.target"          // on: the units that bind to it may run
	Unauthorized = "reprovision-unauthorized.service"       // its start ends the target
	expiry       = "reprovision-authorization-expiry.timer" // transient: starts Unauthorized
)

// FlagFile is the name of the file that is there while units may run. The target
// refuses to start without it, so that nobody starts it by way of a unit that
// needs it.
const FlagFile = "authorized"

// systemd's manager.
const (
	systemdName  = "org.freedesktop.systemd1"
	systemdPath  = dbus.ObjectPath("/org/freedesktop/systemd1")
	systemdIface = systemdName + ".Manager"
	unitIface    = systemdName + ".Unit"
	noSuchUnit   = systemdName + ".NoSuchUnit"
	unitExists   = systemdName + ".UnitExists"
)

// Units switches Target.
type Units struct {
	conn *dbus.Conn
	flag string
}

// NewUnits makes the switch. dir is where the flag file lies; only root may write there.
func NewUnits(conn *dbus.Conn, dir string) *Units {
	return &Units{conn: conn, flag: filepath.Join(dir, FlagFile)}
}

// Switch implements Function. Off, it returns when the target has stopped, and with it
// what is bound to it and ordered after it.
func (u *Units) Switch(ctx context.Context, on bool) error {
	if on {
		if err := renameio.WriteFile(u.flag, nil, 0o644); err != nil {
			return fmt.Errorf("cannot make the flag file: %w", err)
		}
		if err := u.call(ctx, "StartUnit", Target, "replace"); err != nil {
			return fmt.Errorf("cannot start %s: %w", Target, err)
		}
		return u.await(ctx, "active")
	}
	err := os.Remove(u.flag)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if stop := u.call(ctx, "StopUnit", Target, "replace"); stop != nil && !named(stop, noSuchUnit) {
		return errors.Join(err, fmt.Errorf("cannot stop %s: %w", Target, stop))
	}
	return errors.Join(err, u.await(ctx, "inactive"))
}

// patience is how long the target has to become what it was told; units that take
// longer to stop make for another try.
const (
	patience = 5 * time.Second
	lookEach = 50 * time.Millisecond
)

func (u *Units) await(ctx context.Context, want string) error {
	for deadline := time.Now().Add(patience); ; {
		is, err := u.activeState(ctx)
		if err != nil || is == want || is == "failed" && want == "inactive" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is %s still, not %s", Target, is, want)
		}
		select {
		case <-time.After(lookEach):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (u *Units) activeState(ctx context.Context) (string, error) {
	var path dbus.ObjectPath
	manager := u.conn.Object(systemdName, systemdPath)
	if err := manager.CallWithContext(ctx, systemdIface+".LoadUnit", 0, Target).Store(&path); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", Target, err)
	}
	var state string
	unit := u.conn.Object(systemdName, path)
	if err := unit.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, unitIface, "ActiveState").Store(&state); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", Target, err)
	}
	return state, nil
}

// call makes a call for a job, which goes on after the answer.
func (u *Units) call(ctx context.Context, method string, args ...any) error {
	return u.conn.Object(systemdName, systemdPath).CallWithContext(ctx, systemdIface+"."+method, 0, args...).Err
}

func named(err error, name string) bool {
	e, ok := errors.AsType[dbus.Error](err)
	return ok && e.Name == name
}

// property is one of a transient unit.
type property struct {
	Name  string
	Value dbus.Variant
}

type timerSpec struct {
	Base string
	USec uint64
}

// Leave has systemd itself switch the target off after that time: the daemon ends,
// and may not be there then. The time goes on while the machine sleeps not.
func (u *Units) Leave(ctx context.Context, after time.Duration) error {
	properties := []property{
		{"Description", dbus.MakeVariant("End of the card's authorization while reprovisiond is away")},
		{"TimersMonotonic", dbus.MakeVariant([]timerSpec{{"OnActiveSec", uint64(max(after, 0) / time.Microsecond)}})},
		{"AccuracyUSec", dbus.MakeVariant(uint64(100_000))},
		{"RemainAfterElapse", dbus.MakeVariant(false)},
		{"Unit", dbus.MakeVariant(Unauthorized)},
	}
	auxiliary := []struct {
		Name       string
		Properties []property
	}{}
	err := u.call(ctx, "StartTransientUnit", expiry, "replace", properties, auxiliary)
	if err != nil && !named(err, unitExists) { // that of an earlier end comes no later
		return fmt.Errorf("cannot leave a timer behind: %w", err)
	}
	return nil
}

// Return takes back what Leave has left; the daemon is there again.
func (u *Units) Return(ctx context.Context) error {
	if err := u.call(ctx, "StopUnit", expiry, "replace"); err != nil && !named(err, noSuchUnit) {
		return fmt.Errorf("cannot stop the timer of an earlier run: %w", err)
	}
	return nil
}
