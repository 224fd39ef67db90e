package authorization

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrState means that bytes are not a kept State.
var ErrState = errors.New("not the state of an authorization")

// The form in which a State is kept.
const (
	stateVersion = 1
	maxState     = 4 << 10 // bytes, and more than it ever takes
)

type stateDocument struct {
	Version int `json:"version"`
	State
}

// Encode is what ParseState reads.
func (s State) Encode() ([]byte, error) {
	raw, err := json.Marshal(stateDocument{Version: stateVersion, State: s})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the state of the authorization: %w", err)
	}
	return raw, nil
}

// ParseState reads a kept State; ErrState for anything that is none, or of
// another version. Restarted judges what it is still worth.
func ParseState(raw []byte) (State, error) {
	if len(raw) > maxState {
		return State{}, fmt.Errorf("%w: %d bytes", ErrState, len(raw))
	}
	var doc stateDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	s := doc.State
	negative := s.Seen.Up < 0 || s.Asked < 0 || s.Expires < 0 || s.Until < 0 || s.Since < 0
	if doc.Version != stateVersion || s.Seen.Boot == "" || !s.Why.known() || negative || s.Asked > s.Seen.Up || s.Since > s.Seen.Up {
		return State{}, ErrState
	}
	return s, nil
}
