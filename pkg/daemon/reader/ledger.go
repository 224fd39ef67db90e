package reader

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/reprovision/reprovision/pkg/vault"
)

// ledger is what the upkeep of the store remembers across restarts: which snapshots
// are being restored, how far the scrub is, and which cards are whose. It lies beside the store, as a small
// file that is replaced as a whole. It is safe for concurrent use.
type ledger struct {
	file string

	mu    sync.Mutex
	pages ledgerPages
	dirty bool // pages are not on the disk yet
}

// ledgerPages is the file. Times are seconds since the epoch.
type ledgerPages struct {
	Held  map[string]int64    `json:"held"` // "vault/snapshot": until when
	Scrub scrubMark           `json:"scrub"`
	Cards map[string]cardMark `json:"cards"` // by identity
}

// scrubMark is how far the scrub is.
type scrubMark struct {
	Vault    string `json:"vault"` // where the one under way is; empty for none
	Blob     string `json:"blob"`
	Finished int64  `json:"finished"` // the last whole one; 0 never
	Began    int64  `json:"began"`    // of the first one, when there was none yet
}

// holdTime is how long a snapshot is kept after blobs were last fetched to restore it: a
// restore that was cut short goes on when its device is back.
const holdTime = 7 * 24 * time.Hour

// openLedger reads the ledger. One that does not read is begun anew: it says nothing that
// cannot be found out again.
func openLedger(file string) (*ledger, error) {
	l := &ledger{file: file, pages: ledgerPages{Held: make(map[string]int64), Cards: make(map[string]cardMark)}}
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the ledger: %w", err)
	}
	var pages ledgerPages
	if json.Unmarshal(raw, &pages) == nil {
		l.pages = pages
	}
	if l.pages.Held == nil {
		l.pages.Held = make(map[string]int64)
	}
	if l.pages.Cards == nil {
		l.pages.Cards = make(map[string]cardMark)
	}
	return l, nil
}

// save writes the ledger; the caller holds mu.
func (l *ledger) save() error {
	raw, err := json.Marshal(l.pages)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(l.file), 0o700)
	}
	if err == nil {
		err = renameio.WriteFile(l.file, raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot write the ledger: %w", err)
	}
	l.dirty = false
	return nil
}

func heldKey(id vault.VaultID, s vault.SnapshotID) string { return id.String() + "/" + s.String() }

// hold keeps a snapshot for a while. It tells whether that is to be written down, by
// flush: once an hour, for each time costs a sync, and no restore waits for it.
func (l *ledger) hold(id vault.VaultID, s vault.SnapshotID, now time.Time) (unsaved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, until := heldKey(id, s), now.Add(holdTime).Unix()
	if until-l.pages.Held[key] >= int64(time.Hour/time.Second) {
		l.pages.Held[key], l.dirty = until, true
	}
	return l.dirty
}

// flush writes down what hold has noted.
func (l *ledger) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dirty {
		return nil
	}
	return l.save()
}

// held lists the snapshots of a vault that are to be kept, and drops what is over.
func (l *ledger) held(id vault.VaultID, now time.Time) func(vault.SnapshotID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.pages.Held, func(_ string, until int64) bool { return until < now.Unix() })
	held := maps.Clone(l.pages.Held)
	return func(s vault.SnapshotID) bool { return held[heldKey(id, s)] != 0 }
}

// scrub is how far the scrub is.
func (l *ledger) scrub() scrubMark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pages.Scrub
}

// setScrub writes down how far the scrub is.
func (l *ledger) setScrub(m scrubMark) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages.Scrub = m
	return l.save()
}
