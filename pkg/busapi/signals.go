package busapi

import (
	"fmt"

	"github.com/godbus/dbus/v5"
)

// listen subscribes to signals. They arrive in order on the channel, which is
// closed with the connection; stop ends the subscription. Unicast signals
// arrive whether a rule matches or not, so receivers check who sent what.
func listen(conn *dbus.Conn, rules ...[]dbus.MatchOption) (signals <-chan *dbus.Signal, stop func(), err error) {
	ch := make(chan *dbus.Signal, 64)
	conn.Signal(ch)
	for i, rule := range rules {
		if err := conn.AddMatchSignal(rule...); err != nil {
			unlisten(conn, ch, rules[:i])
			return nil, nil, fmt.Errorf("cannot listen to the bus: %w", err)
		}
	}
	return ch, func() { unlisten(conn, ch, rules) }, nil
}

func unlisten(conn *dbus.Conn, ch chan *dbus.Signal, rules [][]dbus.MatchOption) {
	conn.RemoveSignal(ch)
	for _, rule := range rules {
		// The connection may be gone already, and its rules with it.
		_ = conn.RemoveMatchSignal(rule...)
	}
}

// ownerRule matches changes of owners; narrow says which.
func ownerRule(narrow dbus.MatchOption) []dbus.MatchOption {
	return []dbus.MatchOption{
		dbus.WithMatchSender(busDaemon), dbus.WithMatchInterface(busDaemon),
		dbus.WithMatchMember("NameOwnerChanged"), narrow,
	}
}

// ownerChange reads a NameOwnerChanged signal. Anybody can send a signal of
// that name to a connection, so the sender must be the bus itself.
func ownerChange(s *dbus.Signal) (name, owner string, ok bool) {
	if s.Sender != busDaemon || s.Name != busDaemon+".NameOwnerChanged" || len(s.Body) != 3 {
		return "", "", false
	}
	name, ok1 := s.Body[0].(string)
	owner, ok2 := s.Body[2].(string)
	return name, owner, ok1 && ok2
}
