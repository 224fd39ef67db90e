package reader

import (
	"sync"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// entries is what sessions have under way with passcodes and recovery codes. All of
// a session's goes with it. It is safe for concurrent use.
type entries struct {
	mu       sync.Mutex
	sessions map[uint64]*entered // by the session's number
}

// entered is one session's: a few entries at most, for there are two kinds, and
// at most maxEntered vaults.
type entered struct {
	registrations map[session.Entry]*keyring.Registration
	verifiers     map[session.Entry]begun
	open          map[session.ID]unlocked
}

// begun is an entry that was answered, by a check.
type begun struct {
	*keyring.Verifier
	check []byte
}

// unlocked is a vault that was opened: by which kind of slot, and by what that was
// checked. It is worth nothing once there is another check.
type unlocked struct {
	kind  string
	check []byte
}

// maxEntered bounds the vaults that one session registers or opens something for.
const maxEntered = 16

func newEntries() *entries { return &entries{sessions: make(map[uint64]*entered)} }

// with changes one session's entries.
func (e *entries) with(p session.Peer, do func(*entered)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[p.Session]
	if s == nil {
		s = &entered{
			registrations: make(map[session.Entry]*keyring.Registration),
			verifiers:     make(map[session.Entry]begun), open: make(map[session.ID]unlocked),
		}
		e.sessions[p.Session] = s
	}
	do(s)
}

func (e *entries) register(p session.Peer, at session.Entry, r *keyring.Registration) {
	e.with(p, func(s *entered) {
		if len(s.registrations) < maxEntered {
			s.registrations[at] = r
		}
	})
}

func (e *entries) registration(p session.Peer, at session.Entry) (r *keyring.Registration) {
	e.with(p, func(s *entered) { r = s.registrations[at] })
	return r
}

// registered forgets the registrations for a vault: they are completed or void.
func (e *entries) registered(p session.Peer, vault session.ID) {
	e.with(p, func(s *entered) {
		for at := range s.registrations {
			if at.Vault == vault {
				delete(s.registrations, at)
			}
		}
	})
}

// begin takes note of an answered entry; false when there are too many.
func (e *entries) begin(p session.Peer, at session.Entry, v begun) (ok bool) {
	e.with(p, func(s *entered) {
		if ok = len(s.verifiers) < maxEntered; ok {
			s.verifiers[at] = v
		}
	})
	return ok
}

// take returns what was begun, once; one without a Verifier for nothing.
func (e *entries) take(p session.Peer, at session.Entry) (v begun) {
	e.with(p, func(s *entered) {
		v = s.verifiers[at]
		delete(s.verifiers, at)
	})
	return v
}

func (e *entries) unlock(p session.Peer, at session.Entry, check []byte) {
	e.with(p, func(s *entered) {
		if len(s.open) < maxEntered {
			s.open[at.Vault] = unlocked{at.Kind, check}
		}
	})
}

// unlocked tells how a session has opened a vault.
func (e *entries) unlocked(p session.Peer, vault session.ID) (how unlocked, ok bool) {
	e.with(p, func(s *entered) { how, ok = s.open[vault] })
	return how, ok
}

// end forgets a session, and returns the entries of it that came to nothing.
func (e *entries) end(p session.Peer) (open []session.Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.sessions[p.Session]; s != nil {
		for at := range s.verifiers {
			open = append(open, at)
		}
	}
	delete(e.sessions, p.Session)
	return open
}
