package reader

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// cardMark is what the ledger says of a card that was written here, or that held what the
// store has. By it a card is known that does not say any more whose it is.
type cardMark struct {
	Vault      string `json:"vault"`
	Generation uint64 `json:"generation"`         // the highest that was written here, or found on it and is in the store
	Seen       int64  `json:"seen"`               // when that was
	Repaired   int64  `json:"repaired,omitempty"` // when it was last written anew because nothing on it was whole
	Traces     bool   `json:"traces,omitempty"`   // something void is on it, and has not been overwritten
}

// maxCards is how many cards the ledger remembers: those that were seen last.
const maxCards = 256

// card is what is known of a card.
func (l *ledger) card(identity string) (cardMark, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.pages.Cards[identity]
	return m, ok
}

// setCard writes down what is known of a card. What says nothing new is not written.
func (l *ledger) setCard(identity string, m cardMark, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, ok := l.pages.Cards[identity]
	if m.Seen = old.Seen; ok && m == old {
		return nil
	}
	m.Seen = now.Unix()
	l.pages.Cards[identity] = m
	for len(l.pages.Cards) > maxCards {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(l.pages.Cards)), func(a, b string) int {
			return cmp.Compare(l.pages.Cards[a].Seen, l.pages.Cards[b].Seen)
		})
		delete(l.pages.Cards, oldest)
	}
	return l.save()
}
