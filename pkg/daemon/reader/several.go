package reader

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// offers tells whether the card holds a vault that the store does not know: this one.
func (s sight) offers(id vault.VaultID) bool { return s.offer != nil && s.offer.Record.ID == id }

// all is every card that was seen, the one in use first. The caller holds mu.
func (m *mirror) all() []sight {
	list := []sight{m.seen}
	for _, reader := range slices.Sorted(maps.Keys(m.beside)) {
		list = append(list, m.beside[reader])
	}
	return list
}

// sightOf is what was seen of a vault's card; of the card in use, where none is that
// vault's. The caller holds mu.
func (m *mirror) sightOf(id vault.VaultID) sight {
	for _, s := range m.all() {
		if s.on == id || s.offers(id) {
			return s
		}
	}
	return m.seen
}

// cards is what was seen of all cards, the one in use first.
func (m *mirror) cards() []sight {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.all()
	if list[0].place == "" && list[0].state.Status != session.CardNone {
		list[0].place = m.followed
	}
	return list
}

// inUse is the reader of the card in use, "" where only one card is in.
func (m *mirror) inUse() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.place
}

// left takes note that a reader's card is gone. What is known of the others stays.
func (m *mirror) left(e card.Event) {
	m.moved(e.Beside)
	if e.Beside == "" {
		m.gone("")
		return
	}
	m.drop(e.Reader)
}

// moved takes note of which other readers have cards: of those where that changed,
// nothing is known any more.
func (m *mirror) moved(places string) {
	m.mu.Lock()
	before, now := strings.Split(m.places, "\n"), strings.Split(places, "\n")
	m.places = places
	m.mu.Unlock()
	for _, line := range before {
		if name, _, ok := cutLast(line, " #"); ok && !slices.Contains(now, line) {
			m.drop(name)
		}
	}
}

// drop forgets one of several cards. If it was the one in use, another one is.
func (m *mirror) drop(reader string) {
	m.mu.Lock()
	m.pulls++ // a look at it may be under way
	delete(m.beside, reader)
	pulls, next, was := m.pulls, -1, m.seen.place == reader
	rest := m.all()[1:]
	if was && len(rest) > 0 {
		next = best(rest, "")
		delete(m.beside, rest[next].place)
	}
	m.mu.Unlock()
	switch {
	case next >= 0:
		m.set(pulls, rest[next])
	case was:
		m.gone("")
	}
	m.rouse() // what was under way noted nothing
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// readers names the readers that have cards; none where the reader is but one.
func (m *mirror) readers(ctx context.Context) []string {
	several, ok := m.reader.(card.Several)
	if !ok {
		return nil
	}
	names, err := several.Cards(ctx)
	if err != nil {
		m.log.Debug("cannot list the cards", "error", err)
	}
	return names
}

// lend is WithCard, or WithCardIn where a reader is named.
func (m *mirror) lend(ctx context.Context, reader string, do func(context.Context, card.Medium) error) error {
	if several, ok := m.reader.(card.Several); ok && reader != "" {
		return several.WithCardIn(ctx, reader, do)
	}
	return m.reader.WithCard(ctx, do)
}

// visitOf has the card of a vault for itself: of several cards, the vault's own.
func (m *mirror) visitOf(ctx context.Context, id vault.VaultID, do func(context.Context, card.Medium) error) error {
	m.mu.Lock()
	reader := m.sightOf(id).place
	m.mu.Unlock()
	return m.visitIn(ctx, reader, do)
}

// alone takes note that there is one card at most.
func (m *mirror) alone(pulls uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pulls == m.pulls {
		m.beside, m.seen.place = nil, ""
	}
}

// note keeps what a look at a card found that is not over.
func (m *mirror) note(pulls uint64, s sight) {
	m.mu.Lock()
	beside := s.place != m.seen.place && s.place != ""
	if beside && pulls == m.pulls {
		if m.beside == nil {
			m.beside = make(map[string]sight)
		}
		m.beside[s.place] = s
	}
	m.mu.Unlock()
	if !beside {
		m.set(pulls, s)
	}
}

// syncAll is sync where several cards are in. Each is compared with the store, and is
// written if it is known whose it is, by what it holds or by its identity. A blank one
// is given to the vault that asks if that has no other, and else to the only vault that
// there is only if there is no better card.
func (m *mirror) syncAll(ctx context.Context, readers []string, asking vault.VaultID) {
	pulls := m.pulled()
	found := make([]sight, 0, len(readers))
	for _, reader := range readers {
		found = append(found, m.syncIn(ctx, reader, asking, pulls, true))
	}
	if i := vacant(found, asking); i >= 0 {
		found[i] = m.syncIn(ctx, found[i].place, asking, pulls, false)
	}
	first := best(found, m.inUse())
	beside := make(map[string]sight)
	for i, s := range found {
		if i != first && s.state.Status != session.CardNone {
			beside[s.place] = s
		}
	}
	if m.setBeside(pulls, beside) {
		m.changed(found[first].state)
	}
	m.found(pulls, found[first], nil)
	m.overwrite(ctx)
}

// setBeside notes what was found on all cards but the one in use, and tells whether
// that is news.
func (m *mirror) setBeside(pulls uint64, beside map[string]sight) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pulls != m.pulls {
		return false
	}
	same := maps.EqualFunc(m.beside, beside, func(a, b sight) bool { return a.state == b.state })
	m.beside = beside
	return !same
}

// vacant is the blank card that is to be written for the vault that asks; -1 for none.
func vacant(found []sight, asking vault.VaultID) int {
	blank := -1
	for i, s := range found {
		switch {
		case s.blank() && blank < 0:
			blank = i
		case !s.on.IsZero() && (asking.IsZero() || s.on == asking):
			return -1
		}
	}
	return blank
}

// blank tells whether the card is prepared and nobody's.
func (s sight) blank() bool {
	return s.facts.blank && s.state.Status == session.CardOK && s.on.IsZero()
}

// syncIn is sync with the card in one reader.
func (m *mirror) syncIn(ctx context.Context, reader string, asking vault.VaultID, pulls uint64, aside bool) sight {
	seen := sight{place: reader, state: session.CardState{Status: session.CardNone}}
	err := m.visitSoon(ctx, reader, func(ctx context.Context, medium card.Medium) error {
		v := &visit{mirror: m, medium: medium, objects: card.NewStore(medium), pulls: pulls, aside: aside, sight: seen}
		err := v.sync(ctx, asking)
		seen = v.sight
		return err
	})
	if err != nil {
		seen.state, seen.again, seen.damaged = m.failed(err), passing(err), errors.Is(err, vault.ErrDamaged)
	}
	return seen
}

// visitSoon is visitIn for one of several cards: one that is held for long does not
// keep the others waiting.
func (m *mirror) visitSoon(ctx context.Context, reader string, do func(context.Context, card.Medium) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waited := time.AfterFunc(heldAfter, cancel)
	defer waited.Stop()
	err := m.visitIn(ctx, reader, func(ctx context.Context, medium card.Medium) error {
		if !waited.Stop() {
			return card.ErrBusy
		}
		return do(ctx, medium)
	})
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", card.ErrBusy, err)
	}
	return err
}

// best is the card that is to be the one in use: one of a vault that the store knows,
// else a blank one, else one of strangers. The reader used before goes before its equals.
func best(found []sight, before string) int {
	best, most := 0, -1
	for i, s := range found {
		rank := 2 * s.suits()
		if s.place == before {
			rank++
		}
		if rank > most {
			best, most = i, rank
		}
	}
	return best
}

// suits tells how well a card suits as the one in use.
func (s sight) suits() int {
	switch {
	case !s.on.IsZero():
		return 4
	case s.blank():
		return 3
	case s.offer != nil:
		return 2
	case s.state.Status != session.CardNone:
		return 1
	}
	return 0
}
