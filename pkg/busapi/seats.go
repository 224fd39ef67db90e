package busapi

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	logindName  = "org.freedesktop.login1"
	logindPath  = dbus.ObjectPath("/org/freedesktop/login1")
	logindIface = "org.freedesktop.login1.Manager"

	// logindTime bounds a question to logind: it decides who is asked first, and is
	// worth no waiting.
	logindTime = 2 * time.Second
)

// seats asks logind for the sessions that connections belong to. What it says
// orders agents, and gives nobody a right: a process can move, and its number can
// be used again. Where there is no logind no session is known.
type seats struct{ conn *dbus.Conn }

// sessionOf is the session of a connection's process. One that systemd runs for the
// user, outside of all sessions, belongs to the user's graphical one.
func (s seats) sessionOf(ctx context.Context, sender string) dbus.ObjectPath {
	ctx, cancel := context.WithTimeout(ctx, logindTime)
	defer cancel()
	var pid uint32
	if s.conn.BusObject().CallWithContext(ctx, busDaemon+".GetConnectionUnixProcessID", 0, sender).Store(&pid) != nil {
		return ""
	}
	manager := s.conn.Object(logindName, logindPath)
	var session dbus.ObjectPath
	err := manager.CallWithContext(ctx, logindIface+".GetSessionByPID", dbus.FlagNoAutoStart, pid).Store(&session)
	if err == nil {
		return session
	}
	var user dbus.ObjectPath
	if manager.CallWithContext(ctx, logindIface+".GetUserByPID", dbus.FlagNoAutoStart, pid).Store(&user) != nil {
		return ""
	}
	display, _ := s.property(ctx, user, "org.freedesktop.login1.User", "Display").([]any) // (so)
	if len(display) == 2 {
		session, _ = display[1].(dbus.ObjectPath)
	}
	return session
}

// active tells whether a session is in the foreground of its seat.
func (s seats) active(ctx context.Context, session dbus.ObjectPath) bool {
	if session == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, logindTime)
	defer cancel()
	yes, _ := s.property(ctx, session, "org.freedesktop.login1.Session", "Active").(bool)
	return yes
}

func (s seats) property(ctx context.Context, path dbus.ObjectPath, iface, name string) any {
	var v dbus.Variant
	_ = s.conn.Object(logindName, path).CallWithContext(ctx, propsIface+".Get", dbus.FlagNoAutoStart, iface, name).Store(&v)
	return v.Value() // nil where there is none
}
