package vaulttest

import (
	"bytes"
	"crypto/sha256"
	"maps"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Adopt implements vault.Store.
func (m *Memory) Adopt(p vault.Portable) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.vaults[p.Record.ID]
	record := cloneRecord(p.Record)
	if v == nil {
		if err := m.limits.CheckVaults(len(m.vaults) + 1); err != nil {
			return err
		}
		v = &memVault{blobs: make(map[vault.BlobID]memBlob), staged: make(map[vault.BlobID]bool)}
	} else {
		record = v.record
	}
	if err := record.Check(); err != nil {
		return err
	}
	head, keep := v.head()
	next, err := p.Adopted(head)
	if err != nil {
		return err
	}
	blobs, err := v.with(p.Blobs, m.limits)
	if err != nil {
		return err
	}
	for _, id := range next.Blobs {
		delete(v.staged, id)
	}
	v.record, v.blobs = record, blobs
	v.snapshots = append(v.snapshots[:keep], memSnapshot{SnapshotRecord: next})
	m.vaults[p.Record.ID] = v
	return nil
}

// with is what the vault has with more blobs.
func (v *memVault) with(blobs []vault.StoredBlob, limits vault.Limits) (map[vault.BlobID]memBlob, error) {
	next, size := maps.Clone(v.blobs), int64(0)
	for _, b := range blobs {
		if old, known := next[b.ID]; known && old.intact() && !bytes.Equal(old.sealed, b.Sealed) {
			return nil, &vault.BlobError{ID: b.ID, Err: vault.ErrConflict}
		}
		next[b.ID] = memBlob{sealed: bytes.Clone(b.Sealed), digest: sha256.Sum256(b.Sealed)}
	}
	for _, b := range next {
		size += int64(len(b.sealed))
	}
	return next, limits.CheckUsage(len(next), size)
}
