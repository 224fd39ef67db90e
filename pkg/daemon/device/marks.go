package device

import (
	"bytes"
	"errors"
	"log/slog"

	bolt "go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/vault"
)

func marksBucket() []byte { return []byte("marks") }

// marksHeld is how many bytes of marks wait in memory for a transaction.
const marksHeld = 512 << 10

// marks is the vault.MarkStore of one backup, in a bucket of its own of the state. What it
// drops is gone once the backup is the reference: until then a repeated attempt needs it.
// That marks cannot be read or written costs bytes on the link, and no backup.
type marks struct {
	state *state
	log   *slog.Logger
	fresh map[manifest.Digest][]byte
	held  int
	gone  []manifest.Digest
}

func newMarks(st *state, log *slog.Logger) *marks {
	return &marks{state: st, log: log, fresh: make(map[manifest.Digest][]byte)}
}

// Marks implements vault.MarkStore.
func (m *marks) Marks(d manifest.Digest) []byte {
	if b, ok := m.fresh[d]; ok {
		return b
	}
	var out []byte
	err := m.state.db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(marksBucket()); b != nil {
			out = bytes.Clone(b.Get(d[:]))
		}
		return nil
	})
	m.note(err)
	return out
}

// PutMarks implements vault.MarkStore.
func (m *marks) PutMarks(d manifest.Digest, b []byte) {
	m.fresh[d] = b
	if m.held += len(b); m.held >= marksHeld {
		m.note(m.flush())
	}
}

// DropMarks implements vault.MarkStore.
func (m *marks) DropMarks(d manifest.Digest) { m.gone = append(m.gone, d) }

func (m *marks) note(err error) {
	if err != nil {
		m.log.Warn("cannot keep what finds the changes within files", "error", err)
	}
}

func (m *marks) flush() error {
	if len(m.fresh) == 0 {
		return nil
	}
	err := m.state.db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(marksBucket())
		for d, raw := range m.fresh {
			if err == nil {
				err = b.Put(d[:], raw)
			}
		}
		return err
	})
	clear(m.fresh)
	m.held = 0
	return err
}

// settle ends a backup that has become the reference. After a full one there are no marks
// but those of its items.
func (m *marks) settle(ds *vault.DataSet, full bool) {
	err := m.flush()
	if full {
		err = errors.Join(err, m.prune(ds))
	} else if len(m.gone) > 0 {
		err = errors.Join(err, m.remove(m.gone))
	}
	m.gone = nil
	m.note(err)
}

func (m *marks) prune(ds *vault.DataSet) error {
	known := make(map[manifest.Digest]bool, len(ds.Entries()))
	for _, e := range ds.Entries() {
		known[e.Digest] = true
	}
	var gone []manifest.Digest
	err := m.state.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(marksBucket())
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, _ []byte) error {
			var d manifest.Digest
			if copy(d[:], k); !known[d] {
				gone = append(gone, d)
			}
			return nil
		})
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return m.remove(gone)
}

func (m *marks) remove(gone []manifest.Digest) error {
	return m.state.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(marksBucket())
		for _, d := range gone {
			if b == nil {
				return nil
			}
			if err := b.Delete(d[:]); err != nil {
				return err
			}
		}
		return nil
	})
}
