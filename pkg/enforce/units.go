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
	Target = "reprovision-authorized.target"    // on: the units that bind to it may run
	Expiry = "reprovision-expiry.service"       // ends it in time while the daemon is away
	Ending = "reprovision-unauthorized.service" // what Expiry ends it with
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
		return u.await(ctx, Target, "active")
	}
	err := os.Remove(u.flag)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if stop := u.call(ctx, "StopUnit", Target, "replace"); stop != nil && !named(stop, noSuchUnit) {
		return errors.Join(err, fmt.Errorf("cannot stop %s: %w", Target, stop))
	}
	return errors.Join(err, u.await(ctx, Target, "inactive"))
}

// Check implements Checker: an error if the target does not stand any more.
func (u *Units) Check(ctx context.Context) error {
	is, err := u.activeState(ctx, Target)
	if err == nil && is != "active" {
		err = fmt.Errorf("%s is %s: somebody else has stopped it", Target, is)
	}
	return err
}

// patience is how long the target has to become what it was told; units that take
// longer to stop make for another try.
const (
	patience = 5 * time.Second
	lookEach = 50 * time.Millisecond
)

func (u *Units) await(ctx context.Context, unit, want string) error {
	for deadline := time.Now().Add(patience); ; {
		is, err := u.activeState(ctx, unit)
		if err != nil || is == want || is == "failed" && want == "inactive" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is %s still, not %s", unit, is, want)
		}
		select {
		case <-time.After(lookEach):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (u *Units) activeState(ctx context.Context, name string) (string, error) {
	var path dbus.ObjectPath
	manager := u.conn.Object(systemdName, systemdPath)
	if err := manager.CallWithContext(ctx, systemdIface+".LoadUnit", 0, name).Store(&path); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", name, err)
	}
	var state string
	unit := u.conn.Object(systemdName, path)
	if err := unit.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, unitIface, "ActiveState").Store(&state); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", name, err)
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

// Return takes back that systemd sees to the end of the authorization: the daemon is
// there again. Expiry was started when it went, and may have come to the end by now: what
// that does must be over before anything is switched on.
func (u *Units) Return(ctx context.Context) error {
	for _, unit := range []string{Expiry, Ending} {
		err := u.call(ctx, "StopUnit", unit, "replace")
		if named(err, noSuchUnit) {
			continue
		}
		if err == nil {
			err = u.await(ctx, unit, "inactive")
		}
		if err != nil {
			return fmt.Errorf("cannot stop %s: %w", unit, err)
		}
	}
	return nil
}
