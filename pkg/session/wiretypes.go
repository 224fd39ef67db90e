package session

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// The functions of this file turn plain types into messages and back. Those
// that read a message judge all of it: it came from outside.

func readID(b []byte) (ID, error) {
	if len(b) != len(ID{}) {
		return ID{}, fmt.Errorf("%w: an id has %d bytes", ErrBadRequest, len(b))
	}
	return ID(b), nil
}

// optionalID writes the zero ID, which stands for none, as no bytes.
func optionalID(id ID) []byte {
	if id == (ID{}) {
		return nil
	}
	return id[:]
}

func readOptionalID(b []byte) (ID, error) {
	if len(b) == 0 {
		return ID{}, nil
	}
	return readID(b)
}

func writeIDs(ids []ID) [][]byte {
	out := make([][]byte, 0, len(ids))
	for i := range ids {
		out = append(out, ids[i][:])
	}
	return out
}

func readIDs(list [][]byte) ([]ID, error) {
	if len(list) > MaxIDs {
		return nil, fmt.Errorf("%w: %d ids", ErrTooLarge, len(list))
	}
	ids := make([]ID, 0, len(list))
	for _, b := range list {
		id, err := readID(b)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func writeCard(c CardState) *sessionpb.CardState {
	state := &sessionpb.CardState{
		State:      sessionpb.CardState_State(c.Status),
		Generation: c.Generation,
		Need:       c.Need,
		Have:       c.Have,
		Detail:     tame(c.Detail, MaxText),
	}
	if c.PIN.Known {
		state.PinTries = &c.PIN.Left
	}
	return state
}

func readCard(c *sessionpb.CardState) CardState {
	status := CardStatus(0)
	if s := c.GetState(); s > 0 && s <= sessionpb.CardState_State(CardError) {
		status = CardStatus(s)
	}
	return CardState{
		Status:     status,
		Generation: c.GetGeneration(),
		Need:       c.GetNeed(),
		Have:       c.GetHave(),
		Detail:     tame(c.GetDetail(), MaxText),
		PIN:        PINTries{Known: c != nil && c.PinTries != nil, Left: c.GetPinTries()},
	}
}

func writeEvent(e Event) *sessionpb.Event {
	switch e.Kind {
	case EventCard:
		return &sessionpb.Event{Kind: &sessionpb.Event_Card{Card: writeCard(e.Card)}}
	case EventNotice:
		return &sessionpb.Event{Kind: &sessionpb.Event_Notice{Notice: &sessionpb.Notice{Text: tame(e.Text, MaxText)}}}
	case EventDamage:
		return &sessionpb.Event{Kind: &sessionpb.Event_Damage{Damage: &sessionpb.Damage{Blobs: e.Blobs}}}
	case EventUnpaired:
		return &sessionpb.Event{Kind: &sessionpb.Event_Unpaired{Unpaired: &sessionpb.Unpaired{}}}
	}
	return &sessionpb.Event{}
}

// readEvent returns false for a kind that this version does not know.
func readEvent(m *sessionpb.Event) (Event, bool) {
	switch k := m.GetKind().(type) {
	case *sessionpb.Event_Card:
		return Event{Kind: EventCard, Card: readCard(k.Card)}, true
	case *sessionpb.Event_Notice:
		return Event{Kind: EventNotice, Text: tame(k.Notice.GetText(), MaxText)}, true
	case *sessionpb.Event_Damage:
		return Event{Kind: EventDamage, Blobs: min(k.Damage.GetBlobs(), MaxIDs)}, true
	case *sessionpb.Event_Unpaired:
		return Event{Kind: EventUnpaired}, true
	}
	return Event{}, false
}
