package busapi

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/godbus/dbus/v5"
)

// The actions of dbus/org.reprovision.policy. The empty action is open to all.
const (
	actionNone        = ""
	actionPair        = "org.reprovision.device.pair"
	actionBackup      = "org.reprovision.device.backup"
	actionReprovision = "org.reprovision.device.reprovision"
	actionForget      = "org.reprovision.device.forget"
	actionPasscode    = "org.reprovision.device.passcode"
	actionAgent       = "org.reprovision.device.agent"
	actionRead        = "org.reprovision.device.read"
	actionPress       = "org.reprovision.reader.press"
	actionDisplay     = "org.reprovision.reader.display"
	actionForgetPeer  = "org.reprovision.reader.forget"
	actionCard        = "org.reprovision.reader.card"
	actionPIN         = "org.reprovision.reader.pin"
)

const (
	busDaemon   = "org.freedesktop.DBus"
	polkitName  = "org.freedesktop.PolicyKit1"
	polkitPath  = dbus.ObjectPath("/org/freedesktop/PolicyKit1/Authority")
	polkitIface = "org.freedesktop.PolicyKit1.Authority"
)

// authority decides who may do what. The daemon's own user and root may do
// everything; for others polkit decides, and where there is no polkit, nobody
// else may do anything.
type authority struct {
	conn   *dbus.Conn
	uid    uint32 // the daemon's own
	checks chan struct{}
	serial atomic.Uint64
}

func newAuthority(conn *dbus.Conn) *authority {
	return &authority{conn: conn, uid: uint32(os.Getuid()), checks: make(chan struct{}, maxChecks)}
}

// allow returns nil when the connection may do the action. With interactive
// set polkit may ask a person, for as long as the context lasts.
func (a *authority) allow(ctx context.Context, sender, action string, interactive bool) error {
	uid, err := a.userOf(ctx, sender)
	if err != nil {
		return fmt.Errorf("%w: cannot tell who calls: %w", ErrNotAllowed, err)
	}
	if uid == a.uid || uid == 0 {
		return nil
	}
	select {
	case a.checks <- struct{}{}:
		defer func() { <-a.checks }()
	default:
		return fmt.Errorf("%w: %d questions to polkit are open", ErrBusy, maxChecks)
	}
	return a.askPolkit(ctx, uid, sender, action, interactive)
}

func (a *authority) userOf(ctx context.Context, name string) (uint32, error) {
	var uid uint32
	err := a.conn.BusObject().CallWithContext(ctx, busDaemon+".GetConnectionUnixUser", 0, name).Store(&uid)
	return uid, err
}

// polkitOwner starts polkit if need be and returns its unique name. On the
// system bus only polkit can own the name; on a bus without such a policy a
// caller must not be its own judge.
func (a *authority) polkitOwner(ctx context.Context, caller uint32) (string, error) {
	var owner string
	bus := a.conn.BusObject()
	// This fails too for a polkit that runs and that the bus could not start,
	// so only the look below tells.
	_ = bus.CallWithContext(ctx, busDaemon+".StartServiceByName", 0, polkitName, uint32(0)).Err
	if err := bus.CallWithContext(ctx, busDaemon+".GetNameOwner", 0, polkitName).Store(&owner); err != nil {
		return "", fmt.Errorf("%w: user %d is not the daemon's and polkit is not on the bus", ErrNotAllowed, caller)
	}
	uid, err := a.userOf(ctx, owner)
	if err != nil || uid == caller {
		return "", fmt.Errorf("%w: polkit's name is not held by polkit", ErrNotAllowed)
	}
	return owner, nil
}

type polkitSubject struct {
	Kind    string
	Details map[string]dbus.Variant
}

type polkitAnswer struct {
	Authorized bool
	Challenge  bool
	Details    map[string]string
}

func (a *authority) askPolkit(ctx context.Context, uid uint32, sender, action string, interactive bool) error {
	owner, err := a.polkitOwner(ctx, uid)
	if err != nil {
		return err
	}
	subject := polkitSubject{Kind: "system-bus-name", Details: Dict{"name": dbus.MakeVariant(sender)}}
	var flags uint32
	if interactive {
		flags = 1 // AllowUserInteraction
	}
	cancellation := fmt.Sprintf("reprovision-%d", a.serial.Add(1))
	object := a.conn.Object(owner, polkitPath)
	var answer polkitAnswer
	err = object.CallWithContext(ctx, polkitIface+".CheckAuthorization", 0,
		subject, action, map[string]string{}, flags, cancellation).Store(&answer)
	if ctx.Err() != nil {
		// The question would otherwise stay on the person's screen.
		object.Call(polkitIface+".CancelCheckAuthorization", dbus.FlagNoReplyExpected, cancellation)
	}
	if err != nil {
		return fmt.Errorf("%w: cannot ask polkit about %s: %w", ErrNotAllowed, action, err)
	}
	if !answer.Authorized {
		return fmt.Errorf("%w: polkit refuses %s to user %d", ErrNotAllowed, action, uid)
	}
	return nil
}
