package vaulttest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Memory is a vault.Store that keeps everything in memory. It obeys every rule
// of the interface but that of lasting.
type Memory struct {
	mu     sync.Mutex
	limits vault.Limits
	vaults map[vault.VaultID]*memVault
}

type memVault struct {
	record    vault.Record
	blobs     map[vault.BlobID]memBlob
	staged    map[vault.BlobID]bool
	damaged   map[vault.BlobID]bool // as SetDamaged said
	snapshots []memSnapshot         // the oldest first
}

type memSnapshot struct {
	vault.SnapshotRecord
	damaged bool
}

type memBlob struct {
	sealed []byte
	digest [sha256.Size]byte
}

func (b memBlob) intact() bool { return sha256.Sum256(b.sealed) == b.digest }

var _ vault.Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory(limits vault.Limits) *Memory {
	return &Memory{limits: limits.OrDefault(), vaults: make(map[vault.VaultID]*memVault)}
}

// Damage flips a bit of a stored blob.
func (m *Memory) Damage(id vault.VaultID, blob vault.BlobID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return err
	}
	b, ok := v.blobs[blob]
	if !ok {
		return vault.ErrNoBlob
	}
	b.sealed = bytes.Clone(b.sealed)
	b.sealed[len(b.sealed)/2] ^= 1
	v.blobs[blob] = b
	return nil
}

// DamageHead makes the record of a vault's newest snapshot unreadable.
func (m *Memory) DamageHead(id vault.VaultID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return err
	}
	if len(v.snapshots) == 0 {
		return vault.ErrStale
	}
	v.snapshots[len(v.snapshots)-1].damaged = true
	return nil
}

func (m *Memory) vault(id vault.VaultID) (*memVault, error) {
	v, ok := m.vaults[id]
	if !ok {
		return nil, fmt.Errorf("%w: %s", vault.ErrNoVault, id)
	}
	return v, nil
}

func cloneRecord(r vault.Record) vault.Record {
	r.Created = r.Created.Truncate(time.Second).UTC()
	r.Label = bytes.Clone(r.Label)
	r.Slots = slices.Clone(r.Slots)
	for i := range r.Slots {
		r.Slots[i].Data = bytes.Clone(r.Slots[i].Data)
	}
	return r
}

// Create implements vault.Store.
func (m *Memory) Create(r vault.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := r.Check(); err != nil {
		return err
	}
	if m.vaults[r.ID] != nil {
		return vault.ErrExists
	}
	if err := m.limits.CheckVaults(len(m.vaults) + 1); err != nil {
		return err
	}
	m.vaults[r.ID] = &memVault{
		record: cloneRecord(r), blobs: make(map[vault.BlobID]memBlob), staged: make(map[vault.BlobID]bool),
		damaged: make(map[vault.BlobID]bool),
	}
	return nil
}

// Vaults implements vault.Store.
func (m *Memory) Vaults() ([]vault.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []vault.Record
	for _, v := range m.vaults {
		all = append(all, cloneRecord(v.record))
	}
	slices.SortFunc(all, func(a, b vault.Record) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	return all, nil
}

// Vault implements vault.Store.
func (m *Memory) Vault(id vault.VaultID) (vault.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return vault.Record{}, err
	}
	return cloneRecord(v.record), nil
}

// Update implements vault.Store.
func (m *Memory) Update(r vault.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(r.ID)
	if err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return err
	}
	r.Created = v.record.Created
	v.record = cloneRecord(r)
	return nil
}

// Delete implements vault.Store.
func (m *Memory) Delete(id vault.VaultID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.vault(id); err != nil {
		return err
	}
	delete(m.vaults, id)
	return nil
}

// Missing implements vault.Store.
func (m *Memory) Missing(id vault.VaultID, blobs []vault.BlobID) (missing []vault.BlobID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return nil, err
	}
	if len(blobs) > vault.MaxAskBlobs {
		return nil, vault.ErrLimit
	}
	for _, b := range blobs {
		if _, ok := v.blobs[b]; !ok || v.damaged[b] {
			missing = append(missing, b)
		}
	}
	return missing, nil
}

// Close implements vault.Store. The memory store stays usable, as the file of
// a closed store would.
func (m *Memory) Close() error { return nil }
