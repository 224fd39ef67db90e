package busapi

import (
	"fmt"

	"github.com/godbus/dbus/v5"
)

// encodeEvent lays the fields beside time, side and event, which no field may
// replace. A passcode never goes into a signal, whoever asks for it.
func encodeEvent(e Event) Dict {
	d := make(Dict, len(e.Fields)+3)
	for name, value := range e.Fields {
		if name != "passcode" {
			d[toBus(name)] = dbus.MakeVariant(eventValue(value))
		}
	}
	d["time"] = dbus.MakeVariant(toBus(e.Time))
	d["side"] = dbus.MakeVariant(toBus(e.Side))
	d["event"] = dbus.MakeVariant(toBus(e.Event))
	return d
}

// eventValue makes a field's value one of string, int64, uint64, float64, bool
// and []string; anything else becomes its text.
func eventValue(v any) any {
	switch v := v.(type) {
	case bool, int64, uint64, float64:
		return v
	case int:
		return int64(v)
	case string:
		return toBus(v)
	case []string:
		out := make([]string, len(v))
		for i, s := range v {
			out[i] = toBus(s)
		}
		return out
	}
	return toBus(fmt.Sprint(v))
}

// decodeEvent is the client's side of encodeEvent; false for a dictionary that
// is no event.
func decodeEvent(d Dict) (Event, bool) {
	e := Event{Fields: make(map[string]any, len(d))}
	for name, value := range d {
		if field := e.head(name); field != nil {
			text, ok := value.Value().(string)
			if !ok {
				return Event{}, false
			}
			*field = text
			continue
		}
		e.Fields[name] = eventField(value.Value())
	}
	return e, e.Event != ""
}

func (e *Event) head(name string) *string {
	switch name {
	case "time":
		return &e.Time
	case "side":
		return &e.Side
	case "event":
		return &e.Event
	}
	return nil
}

// eventField keeps the types that Event promises, so that a stranger's nested
// variants do not reach the printer.
func eventField(v any) any {
	switch v.(type) {
	case string, bool, int64, uint64, float64, []string:
		return v
	}
	return fmt.Sprint(v)
}
