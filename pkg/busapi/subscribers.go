package busapi

import (
	"fmt"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"
)

// subscribers are the connections that get events. Events may hold names of
// files, so they are not broadcast: each goes to those only who were allowed to
// subscribe.
type subscribers struct {
	mu   sync.Mutex
	list []string // unique names
}

func (s *subscribers) add(sender string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.list, sender) {
		return nil
	}
	if len(s.list) >= maxSubs {
		return fmt.Errorf("%w: %d clients have subscribed", ErrBusy, maxSubs)
	}
	s.list = append(s.list, sender)
	return nil
}

func (s *subscribers) remove(sender string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(o string) bool { return o == sender })
}

// send gives one signal to each subscriber, in the order of the calls to send.
func (s *subscribers) send(conn *dbus.Conn, path dbus.ObjectPath, iface, member string, body ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range s.list {
		msg := &dbus.Message{
			Type: dbus.TypeSignal,
			Headers: map[dbus.HeaderField]dbus.Variant{
				dbus.FieldPath:        dbus.MakeVariant(path),
				dbus.FieldInterface:   dbus.MakeVariant(iface),
				dbus.FieldMember:      dbus.MakeVariant(member),
				dbus.FieldDestination: dbus.MakeVariant(to),
				dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(body...)),
			},
			Body: body,
		}
		if call := conn.Send(msg, nil); call.Err != nil {
			return fmt.Errorf("cannot send %s: %w", member, call.Err)
		}
	}
	return nil
}
