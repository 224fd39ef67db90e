package session_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/session"
)

// store is a Provider that keeps its vaults in memory.
type store struct {
	mu        sync.Mutex
	vaults    map[session.ID]*vault
	connected []session.Peer
	ended     []session.Peer
	changed   chan struct{} // replaced at each change
	events    chan session.Event
	fail      error           // what every call returns, if set
	hold      <-chan struct{} // what Get waits for before each blob, if set
	unpaired  []string
	change    session.SlotChange // the last one
}

type vault struct {
	session.NewVault
	owner     string
	blobs     map[session.ID]session.Blob
	snapshots []session.Snapshot // newest first
	record    []byte
}

func newStore() *store {
	return &store{vaults: make(map[session.ID]*vault), events: make(chan session.Event, 8), changed: make(chan struct{})}
}

func (s *store) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until cond holds.
func (s *store) await(t *testing.T, cond func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		s.mu.Lock()
		ok, changed := cond(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatal("waited in vain")
		}
	}
}

func (s *store) Connected(p session.Peer) { s.note(func() { s.connected = append(s.connected, p) }) }

func (s *store) Disconnected(p session.Peer, _ error) {
	s.note(func() { s.ended = append(s.ended, p) })
}

func (s *store) Hello(_ context.Context, p session.Peer, theirs session.Hello) (session.Hello, error) {
	card := session.CardState{Status: session.CardFull, Generation: 7, Need: 10, Have: 5, Detail: "small", PIN: session.PINTries{Known: true, Left: 1}}
	return session.Hello{Name: p.ID + "/" + theirs.Name, Card: card, Run: session.ID{7}}, s.failure()
}

func (s *store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

func (s *store) setFailure(err error) { s.note(func() { s.fail = err }) }

func (s *store) Events(ctx context.Context, _ session.Peer, send func(session.Event) error) error {
	for {
		select {
		case e := <-s.events:
			if err := send(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *store) Vaults(_ context.Context, p session.Peer) ([]session.Vault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []session.Vault
	for _, v := range s.vaults {
		info := session.Vault{
			ID: v.ID, Mine: v.owner == p.ID, Owner: v.owner, Created: time.Unix(1000, 0).UTC(),
			Snapshots: uint64(len(v.snapshots)), Label: v.Label,
		}
		for _, slot := range v.Slots {
			info.Slots = append(info.Slots, session.Slot{Kind: slot.Kind})
		}
		if len(v.snapshots) > 0 {
			info.Head = &v.snapshots[0]
		}
		out = append(out, info)
	}
	return out, s.fail
}

func (s *store) CreateVault(_ context.Context, p session.Peer, n session.NewVault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vaults[n.ID] != nil {
		return fmt.Errorf("vault: %w", session.ErrExists)
	}
	s.vaults[n.ID] = &vault{NewVault: n, owner: p.ID, blobs: make(map[session.ID]session.Blob)}
	return nil
}

func (s *store) Register(_ context.Context, _ session.Peer, e session.Entry, request []byte) ([]byte, error) {
	_, err := s.vault(e.Vault)
	return append([]byte(e.Kind), request...), err
}

func (s *store) ChangeSlots(_ context.Context, _ session.Peer, c session.SlotChange) (session.CardState, error) {
	v, err := s.vault(c.Vault)
	if err != nil {
		return session.CardState{}, err
	}
	s.note(func() {
		v.Slots, s.change = nil, c
		for _, n := range c.Slots {
			v.Slots = append(v.Slots, n.Slot)
		}
	})
	return session.CardState{Status: session.CardOK, Generation: 9}, nil
}

func (s *store) Unlock(_ context.Context, p session.Peer, e session.Entry, ke1 []byte) ([]byte, error) {
	if len(ke1) == 0 {
		return nil, &session.LockedOut{RetryAfter: time.Minute}
	}
	return append([]byte(e.Kind), p.Exporter...), s.failure()
}

func (s *store) Prove(_ context.Context, _ session.Peer, _ session.Entry, ke3 []byte) error {
	if len(ke3) == 0 {
		return session.ErrWrongPasscode
	}
	return s.failure()
}

func (s *store) ClaimVault(_ context.Context, p session.Peer, id session.ID) ([]session.Slot, error) {
	v, err := s.vault(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(v.Slots, func(s session.Slot) bool { return s.Kind == "reader" }) {
		return nil, session.ErrNotAllowed
	}
	v.owner = p.ID
	return v.Slots, nil
}

func (s *store) vault(id session.ID) (*vault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vaults[id] == nil {
		return nil, session.ErrNoVault
	}
	return s.vaults[id], s.fail
}

func (s *store) Snapshots(_ context.Context, _ session.Peer, q session.SnapshotQuery) ([]session.Snapshot, error) {
	v, err := s.vault(q.Vault)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []session.Snapshot
	for _, sn := range v.snapshots {
		if (q.From == 0 || sn.Seq <= q.From) && (q.Limit == 0 || len(out) < q.Limit) {
			out = append(out, sn)
		}
	}
	return out, nil
}

func (s *store) Missing(_ context.Context, _ session.Peer, id session.ID, ids []session.ID) ([]session.ID, error) {
	v, err := s.vault(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ids), func(id session.ID) bool { _, ok := v.blobs[id]; return ok }), nil
}

func (s *store) Put(_ context.Context, _ session.Peer, id session.ID, blobs iter.Seq2[session.Blob, error]) (int, error) {
	v, err := s.vault(id)
	if err != nil {
		return 0, err
	}
	stored := 0
	for b, err := range blobs {
		if err != nil {
			return stored, err
		}
		s.mu.Lock()
		v.blobs[b.ID] = b
		s.mu.Unlock()
		stored++
	}
	return stored, nil
}

func (s *store) Commit(_ context.Context, _ session.Peer, c session.Commit) (session.CardState, error) {
	v, err := s.vault(c.Vault)
	if err != nil {
		return session.CardState{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(v.snapshots) > 0 && v.snapshots[0].ID != c.Parent {
		return session.CardState{}, fmt.Errorf("%w: seq %d", session.ErrStale, c.Seq)
	}
	sn := session.Snapshot{
		ID: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Header: c.Header,
		Committed: time.Unix(5, 6).UTC(), Bytes: uint64(len(c.Add)<<16 | len(c.Drop)<<8 | len(c.Critical)),
	}
	v.snapshots = slices.Insert(v.snapshots, 0, sn)
	return session.CardState{Status: session.CardOK, Generation: c.Seq}, nil
}

func (s *store) Get(ctx context.Context, _ session.Peer, q session.BlobQuery, send func(session.Blob) error) error {
	v, err := s.vault(q.Vault)
	if err != nil {
		return err
	}
	for _, id := range q.IDs {
		s.mu.Lock()
		b, ok := v.blobs[id]
		s.mu.Unlock()
		if !ok {
			return fmt.Errorf("%w: blob %x", session.ErrNoData, id)
		}
		if s.hold != nil {
			select {
			case <-s.hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := send(b); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) Attest(_ context.Context, p session.Peer, id session.ID, challenge []byte) (session.Attestation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.vaults[id]
	if v == nil || v.owner != p.ID {
		return session.Attestation{}, session.ErrNoVault
	}
	return session.Attestation{Identity: "card\x1b", Key: []byte("key"), Record: v.record, Signature: challenge}, nil
}

func (s *store) Authorize(_ context.Context, p session.Peer, id session.ID, record []byte) (session.CardState, error) {
	err := session.ErrNoVault
	s.note(func() {
		if v := s.vaults[id]; v != nil && v.owner == p.ID {
			v.record, err = record, nil
		}
	})
	return session.CardState{Status: session.CardOK}, err
}

func (s *store) VerifyPIN(_ context.Context, _ session.Peer, _ session.ID, pin []byte) ([]byte, error) {
	switch string(pin) {
	case "blocked":
		return nil, session.ErrLockedOut
	case "right":
		return []byte("secret"), nil
	case "silent":
		return nil, &session.WrongPasscode{Left: -1}
	}
	return nil, fmt.Errorf("cannot unlock: %w", &session.WrongPasscode{Left: 2})
}

func (s *store) Unpair(_ context.Context, p session.Peer) error {
	s.note(func() { s.unpaired = append(s.unpaired, p.ID) })
	return nil
}
