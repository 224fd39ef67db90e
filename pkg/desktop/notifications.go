package desktop

import (
	"context"
	"errors"
	"fmt"
	"html"
	"slices"

	"github.com/godbus/dbus/v5"
)

const (
	notesName  = "org.freedesktop.Notifications"
	notesPath  = dbus.ObjectPath("/org/freedesktop/Notifications")
	busDaemon  = "org.freedesktop.DBus"
	appName    = "Reprovision"
	maxSummary = 120  // bytes
	maxBody    = 2000 // bytes
)

var (
	// errNoService says that nobody shows notifications here, or not with buttons.
	errNoService = errors.New("no notifications with buttons here")
	// errDismissed says that the person put a notification away, or let it go.
	errDismissed = errors.New("the notification was put away")
)

// urgency as the specification numbers it.
type urgency byte

const (
	low    urgency = 0
	normal urgency = 1
	urgent urgency = 2
)

// action is a button of a notification.
type action struct{ key, label string }

// note is one notification.
type note struct {
	summary, body string // plain text
	urgency       urgency
	actions       []action
}

// notes is a client of the notification service.
type notes struct{ conn *dbus.Conn }

// service finds who shows notifications, and starts it if it can be. Calls go to its
// unique name, and only its signals count.
func (n notes) service(ctx context.Context) (string, error) {
	bus := n.conn.BusObject()
	var owner string
	if bus.CallWithContext(ctx, busDaemon+".GetNameOwner", 0, notesName).Store(&owner) == nil {
		return owner, nil
	}
	_ = bus.CallWithContext(ctx, busDaemon+".StartServiceByName", 0, notesName, uint32(0)).Err // the look below tells
	if err := bus.CallWithContext(ctx, busDaemon+".GetNameOwner", 0, notesName).Store(&owner); err != nil {
		return "", fmt.Errorf("%w: %w", errNoService, err)
	}
	return owner, nil
}

// show shows a note and does not wait for what becomes of it.
func (n notes) show(ctx context.Context, what note) error {
	owner, err := n.service(ctx)
	if err != nil {
		return err
	}
	_, err = n.notify(ctx, owner, what, n.capabilities(ctx, owner))
	return err
}

func (n notes) capabilities(ctx context.Context, owner string) []string {
	var all []string
	_ = n.call(ctx, owner, "GetCapabilities").Store(&all) // none, then
	return all
}

func (n notes) call(ctx context.Context, owner, method string, args ...any) *dbus.Call {
	return n.conn.Object(owner, notesPath).CallWithContext(ctx, notesName+"."+method, 0, args...)
}

// notify has the service show a note. A question stays until it is answered.
func (n notes) notify(ctx context.Context, owner string, what note, able []string) (id uint32, err error) {
	body, expires := cut(what.body, maxBody), int32(-1)
	if slices.Contains(able, "body-markup") {
		body = html.EscapeString(body) // names of files are no markup
	}
	buttons := make([]string, 0, 2*len(what.actions))
	for _, a := range what.actions {
		buttons, expires = append(buttons, a.key, a.label), 0
	}
	hints := map[string]dbus.Variant{
		"urgency": dbus.MakeVariant(byte(what.urgency)), "category": dbus.MakeVariant("device"),
	}
	err = n.call(ctx, owner, "Notify", appName, uint32(0), "", cut(what.summary, maxSummary), body, buttons, hints, expires).Store(&id)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoService, err)
	}
	return id, nil
}

// ask shows a note with buttons and returns the key of the one that was pressed. When
// ctx ends the note is taken away.
func (n notes) ask(ctx context.Context, what note) (string, error) {
	owner, err := n.service(ctx)
	if err != nil {
		return "", err
	}
	able := n.capabilities(ctx, owner)
	if !slices.Contains(able, "actions") {
		return "", errNoService
	}
	signals, stop, err := n.listen(owner)
	if err != nil {
		return "", err
	}
	defer stop()
	id, err := n.notify(ctx, owner, what, able)
	if err != nil {
		return "", err
	}
	return n.await(ctx, owner, id, what, signals)
}

// listen hears what becomes of notes, and that the service is gone.
func (n notes) listen(owner string) (<-chan *dbus.Signal, func(), error) {
	rules := [][]dbus.MatchOption{
		{dbus.WithMatchSender(owner), dbus.WithMatchInterface(notesName), dbus.WithMatchObjectPath(notesPath)},
		{dbus.WithMatchSender(busDaemon), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, owner)},
	}
	ch := make(chan *dbus.Signal, 64)
	n.conn.Signal(ch)
	stop := func() {
		n.conn.RemoveSignal(ch)
		for _, r := range rules {
			_ = n.conn.RemoveMatchSignal(r...) // the connection may be gone, and its rules with it
		}
	}
	for _, r := range rules {
		if err := n.conn.AddMatchSignal(r...); err != nil {
			stop()
			return nil, nil, fmt.Errorf("cannot listen to the session bus: %w", err)
		}
	}
	return ch, stop, nil
}

func (n notes) await(ctx context.Context, owner string, id uint32, what note, signals <-chan *dbus.Signal) (string, error) {
	for {
		select {
		case <-ctx.Done():
			n.close(owner, id)
			return "", context.Cause(ctx)
		case s, open := <-signals:
			if !open || s.Sender == busDaemon && s.Name == busDaemon+".NameOwnerChanged" && isFirst(s, owner) {
				return "", fmt.Errorf("%w: it has gone", errNoService)
			}
			if s.Sender != owner || !isFirst(s, id) {
				continue
			}
			switch s.Name {
			case notesName + ".ActionInvoked":
				if key := pressed(s, what); key != "" {
					n.close(owner, id) // not every service does
					return key, nil
				}
			case notesName + ".NotificationClosed":
				return "", errDismissed
			}
		}
	}
}

// close takes a note off the screen.
func (n notes) close(owner string, id uint32) {
	n.conn.Object(owner, notesPath).Call(notesName+".CloseNotification", dbus.FlagNoReplyExpected, id)
}

// isFirst tells whether the first argument of a signal is v.
func isFirst(s *dbus.Signal, v any) bool { return len(s.Body) > 0 && s.Body[0] == v }

// pressed is the button that a signal is about; empty for none that the note has.
func pressed(s *dbus.Signal, what note) string {
	if len(s.Body) != 2 {
		return ""
	}
	key, _ := s.Body[1].(string)
	if !slices.ContainsFunc(what.actions, func(a action) bool { return a.key == key }) {
		return ""
	}
	return key
}
