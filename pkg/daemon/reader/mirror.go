package reader

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// mirror keeps the critical part of one vault on the smart card. The store has
// the same bytes: the card is what the owner carries. A card belongs to the
// vault that was first written to it, and is never overwritten with another.
type mirror struct {
	store   vaultStore
	records *sync.Mutex                    // held while a vault's record is changed
	keyOf   func(string) ed25519.PublicKey // of a paired device
	reader  card.Reader                    // nil: no card reader is configured
	known   *ledger
	log     *slog.Logger
	now     func() time.Time
	changed func(session.CardState)
	event   func(kind string, fields map[string]any)
	blame   func(id vault.VaultID, err error) error // takes note of damage that an error tells of
	healed  func(id vault.VaultID, blobs []vault.BlobID)
	wiped   func(r vault.Record, gone bool) bool // were the data that are on a card deleted? gone: the store has none

	turn  chan struct{} // a token while the card is in use
	clean chan struct{} // a token while it is overwritten, in several turns
	wake  chan struct{} // the card may have to be written

	mu       sync.Mutex
	seen     sight            // of the card in use; where several are in, of the one that suits best
	beside   map[string]sight // of the others, by the names of their readers
	places   string           // which other readers had cards at the last event
	followed string           // the reader that the last event was about
	pulls    uint64           // how often a card went
}

// sight is what a look at the card found.
type sight struct {
	place string // the card reader's name; "" where there is only one card
	state session.CardState
	on    vault.VaultID // what the card holds, or is to hold; zero: not known
	facts cardFacts
	offer *vault.Portable // what the card holds of a vault that the store does not know
	again bool            // the card could not be used for a reason that may pass

	// What is outside the newest version is void, and is to be overwritten. erased: that
	// version says that the data were deleted, and goes, too.
	traces, erased bool

	damaged bool // what was to be written to the card is damaged in the store
}

// cardFacts is what a status says of the card in the reader.
type cardFacts struct {
	place             string // the card reader's name, by cardOf; "" where there is only one card
	profile, identity string
	capacity, used    int64
	needed, leftOut   int64 // bytes of the critical part: all, and what does not fit
	classes           string
	elsewhere         int64 // bytes of the bulk part, which never goes to the card
	blank             bool
	repaired          int64  // when it was written anew because nothing on it was whole, seconds since the epoch; 0 never
	authorization     string // the record on the card
	abilities
}

func (d *Daemon) newMirror() *mirror {
	return &mirror{
		store: d.store, records: &d.records, keyOf: d.keyOf, wiped: d.wiped, known: d.ledger, log: d.log, now: d.now,
		changed: d.cardChanged, event: d.event, blame: d.blame, healed: d.healedBlobs,
		turn: make(chan struct{}, 1), clean: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		seen: sight{state: session.CardState{Status: session.CardNone}},
	}
}

// run watches the card reader and brings a card that was inserted up to date.
func (m *mirror) run(ctx context.Context) error {
	if m.reader == nil {
		<-ctx.Done()
		return nil
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		if err := m.reader.Run(ctx); err != nil {
			m.log.Error("cannot watch the card reader", "error", err)
		}
	})
	var again <-chan time.Time
	for wait := retryFirst; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
			wait = retryFirst
		case <-again:
		}
		again = nil
		if m.sync(ctx, vault.VaultID{}); m.waits() {
			again, wait = time.After(wait), min(2*wait, retryLast)
		}
	}
}

// Waits before a card is tried again that another program holds, or that did not
// answer: doubled each time.
const (
	retryFirst = time.Second
	retryLast  = 30 * time.Second
)

// waits tells whether the card in the reader is worth another try soon.
func (m *mirror) waits() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.all(), func(s sight) bool { return s.again })
}

// notice takes note of an event at the card reader.
func (m *mirror) notice(e card.Event) {
	m.log.Info("card event", "kind", e.Kind, "reader", e.Reader, "error", e.Err)
	m.mu.Lock()
	m.followed = e.Reader
	m.mu.Unlock()
	switch e.Kind {
	case card.EventInserted:
		m.moved(e.Beside)
		m.rouse()
	case card.EventRemoved:
		m.left(e)
	case card.EventUnavailable:
		m.gone(text(e.Err))
	}
}

func (m *mirror) gone(detail string) {
	m.mu.Lock()
	m.pulls++
	pulls := m.pulls
	m.beside = nil
	m.mu.Unlock()
	m.set(pulls, sight{state: session.CardState{Status: session.CardNone, Detail: detail}})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// set notes what a look at the card found. pulls was counted before that look:
// a card that was pulled since then is not there any more, whatever it held.
func (m *mirror) set(pulls uint64, s sight) {
	m.mu.Lock()
	if pulls != m.pulls {
		m.mu.Unlock()
		return
	}
	same := m.seen.state == s.state
	m.seen = s
	m.mu.Unlock()
	if !same {
		m.changed(s.state)
	}
}

// stateFor is the card's state as the owner of a vault sees it.
func (m *mirror) stateFor(id vault.VaultID) session.CardState {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.sightOf(id)
	s := seen.state
	if good := s.Status == session.CardOK || s.Status == session.CardStale || s.Status == session.CardFull; good && !seen.on.IsZero() && seen.on != id {
		// Another device of this reader has its card in: nothing is wrong with
		// that, and there is no card for this one.
		s = session.CardState{Status: session.CardNone, Detail: "the card in the reader is another device's"}
	}
	if f := seen.facts; f.hasPIN && f.pin.Tries >= 0 { // also for one that is to take that device's place
		s.PIN = session.PINTries{Known: true, Left: uint32(f.pin.Tries)}
	}
	return s
}

// holds tells whether the card has the newest critical part of the vault.
func (m *mirror) holds(id vault.VaultID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sightOf(id)
	return s.state.Status == session.CardOK && s.on == id
}

func (m *mirror) pulled() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pulls
}

func (m *mirror) look() (session.CardState, cardFacts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.state, m.seen.facts
}

// offered is what the card holds of a vault that the store does not know; nil for
// nothing.
func (m *mirror) offered() *vault.Portable {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.all() {
		if s.offer != nil {
			return s.offer
		}
	}
	return nil
}

// took takes note that the store knows the vault on the card by now.
func (m *mirror) took(p *vault.Portable) {
	m.mu.Lock()
	all, pulls := m.all(), m.pulls
	m.mu.Unlock()
	for _, s := range all {
		if s.offer == p {
			s.on, s.offer = p.Record.ID, nil
			s.state = session.CardState{Status: session.CardOK, Generation: s.state.Generation}
			m.note(pulls, s)
		}
	}
}

// update writes a vault's newest snapshot to the card, if the card is that
// vault's or nobody's. The data are safe in the store already: a card that is
// slow, missing or full does not fail the commit. The writing goes on when the
// device has gone.
func (m *mirror) update(ctx context.Context, id vault.VaultID) session.CardState {
	if m.reader == nil {
		return session.CardState{Status: session.CardNone}
	}
	m.sync(context.WithoutCancel(ctx), id)
	m.wakeAgain()
	return m.stateFor(id)
}

// sync compares the card with the store, writes what is newer, and has nothing stay on the
// card that is void. For a blank card the vault that asks decides whose it will be.
func (m *mirror) sync(ctx context.Context, asking vault.VaultID) {
	if readers := m.readers(ctx); len(readers) > 1 {
		m.syncAll(ctx, readers, asking)
		return
	}
	pulls := m.pulled()
	m.alone(pulls)
	seen := sight{state: session.CardState{Status: session.CardNone}}
	err := m.visit(ctx, func(ctx context.Context, medium card.Medium) error {
		v := &visit{mirror: m, medium: medium, objects: card.NewStore(medium), pulls: pulls}
		err := v.sync(ctx, asking)
		seen = v.sight
		return err
	})
	m.found(pulls, seen, err)
	m.overwrite(ctx)
}

// found takes note of what a look at the card came to.
func (m *mirror) found(pulls uint64, seen sight, err error) {
	if err != nil {
		seen.state, seen.again, seen.damaged = m.failed(err), passing(err), errors.Is(err, vault.ErrDamaged)
	}
	if seen.state.Status == session.CardNone {
		seen = sight{place: seen.place, state: seen.state, again: seen.again, damaged: seen.damaged}
	}
	if seen.traces && seen.state.Detail == "" {
		seen.state.Detail = overwriting
	}
	m.set(pulls, seen)
}

// passing tells whether the reason why a card could not be used may pass though
// nobody touches the card.
func passing(err error) bool {
	for _, reason := range []error{card.ErrBusy, card.ErrTimeout, card.ErrRemoved} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// erase leaves nothing of a vault on the card, if it is that one's.
func (m *mirror) erase(ctx context.Context, id vault.VaultID) {
	if m.reader == nil {
		return
	}
	err := m.visitOf(ctx, id, func(ctx context.Context, medium card.Medium) error {
		v := &visit{mirror: m, medium: medium, objects: card.NewStore(medium)}
		v.facts.identity = medium.Identity()
		return v.deleteFrom(ctx, id)
	})
	if err != nil && !errors.Is(err, card.ErrNoCard) && !errors.Is(err, card.ErrBlank) && !errors.Is(err, card.ErrUnformatted) {
		m.log.Error("cannot erase the card", "vault", id, "error", err)
	}
	m.sync(ctx, vault.VaultID{})
	m.wakeAgain()
}

// wakeAgain has run try again what somebody else found held.
func (m *mirror) wakeAgain() {
	if m.waits() {
		m.rouse()
	}
}

// rouse has run look at the card.
func (m *mirror) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// heldAfter is how long a card is waited for before that is reported.
const heldAfter = 3 * time.Second

func held() session.CardState {
	return session.CardState{Status: session.CardError, Detail: "another program holds the card; waiting for it"}
}

// waiting reports a card that another program holds for long, unless begun is called
// before; begun takes the report back: what was seen on the card still lies there. It may
// be called again. It is the card in use that is reported of.
func (m *mirror) waiting(reader string) (begun func()) {
	m.mu.Lock()
	pulls, was := m.pulls, m.seen
	m.mu.Unlock()
	if reader != was.place {
		return func() {}
	}
	told := make(chan struct{})
	timer := time.AfterFunc(heldAfter, func() {
		defer close(told)
		now := was
		now.state = held()
		m.set(pulls, now)
	})
	return sync.OnceFunc(func() {
		if !timer.Stop() {
			<-told
			m.takeBack(pulls, was)
		}
	})
}

// takeBack ends the report of a held card, unless something else was seen since.
func (m *mirror) takeBack(pulls uint64, was sight) {
	m.mu.Lock()
	still := m.seen.state == held()
	m.mu.Unlock()
	if still {
		m.set(pulls, was)
	}
}

// failed turns an error of the card into the state that it leaves behind.
func (m *mirror) failed(err error) session.CardState {
	var full *card.FullError
	switch {
	case errors.Is(err, card.ErrNoCard), errors.Is(err, card.ErrRemoved), errors.Is(err, card.ErrNoReader), errors.Is(err, card.ErrNoService):
		return session.CardState{Status: session.CardNone, Detail: err.Error()}
	case errors.As(err, &full):
		return session.CardState{
			Status: session.CardFull, Need: uint64(max(full.Need, 0)), Have: uint64(max(full.Have, 0)),
			Detail: fmt.Sprintf("the service books and keys take %d bytes, %d more than the card has room for", full.Need, full.Need-full.Have),
		}
	}
	if errors.Is(err, card.ErrBusy) {
		m.log.Info("the card is held by another program", "error", err)
		return held()
	}
	m.log.Error("card failed", "error", err)
	return session.CardState{Status: session.CardError, Detail: err.Error()}
}

// read returns what the card holds of a vault, from the card itself.
func (m *mirror) read(ctx context.Context, id vault.VaultID) (vault.Portable, error) {
	var p vault.Portable
	err := m.visitOf(ctx, id, func(ctx context.Context, medium card.Medium) error {
		object, err := card.NewStore(medium).Load(ctx)
		if err != nil {
			return err
		}
		p, err = vault.UnmarshalPortable(object.Data)
		return err
	})
	if err == nil && p.Record.ID != id {
		err = errors.New("it holds another vault")
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", session.ErrCard, err)
	}
	return p, nil
}
