package vaulttest

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Put implements vault.Store.
func (m *Memory) Put(id vault.VaultID, blobs []vault.StoredBlob) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return err
	}
	if err := vault.CheckPut(blobs); err != nil {
		return err
	}
	next, staged := maps.Clone(v.blobs), maps.Clone(v.staged)
	for _, b := range blobs {
		old, known := next[b.ID]
		if known && old.intact() {
			if !bytes.Equal(old.sealed, b.Sealed) {
				return &vault.BlobError{ID: b.ID, Err: vault.ErrConflict}
			}
			continue
		}
		next[b.ID] = memBlob{sealed: bytes.Clone(b.Sealed), digest: sha256.Sum256(b.Sealed)}
		staged[b.ID] = staged[b.ID] || !known
	}
	var size int64
	for _, b := range next {
		size += int64(len(b.sealed))
	}
	if err := m.limits.CheckUsage(len(next), size); err != nil {
		return err
	}
	v.blobs, v.staged = next, staged
	return nil
}

// Get implements vault.Store.
func (m *Memory) Get(id vault.VaultID, blob vault.BlobID) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return nil, err
	}
	if err := v.check(blob); err != nil {
		return nil, err
	}
	return bytes.Clone(v.blobs[blob].sealed), nil
}

func (v *memVault) check(id vault.BlobID) error {
	b, ok := v.blobs[id]
	switch {
	case !ok:
		return &vault.BlobError{ID: id, Err: vault.ErrNoBlob}
	case !b.intact():
		return &vault.BlobError{ID: id, Err: vault.ErrDamaged}
	}
	return nil
}

// Commit implements vault.Store.
func (m *Memory) Commit(id vault.VaultID, c vault.Commit, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return err
	}
	if c.Vault != id {
		return vault.ErrCommit
	}
	var head *vault.SnapshotRecord
	if n := len(v.snapshots); n > 0 {
		head = &v.snapshots[n-1]
	}
	if head != nil && head.Snapshot == c.Snapshot {
		if c.Repeats(*head) {
			return nil
		}
		return vault.ErrConflict
	}
	next, err := c.Follow(head)
	if err != nil {
		return err
	}
	return v.commit(next, c.Add, now)
}

func (v *memVault) commit(next vault.SnapshotRecord, added []vault.BlobID, now time.Time) error {
	for _, b := range added {
		if err := v.check(b); err != nil {
			return err
		}
	}
	next.Committed = now.Truncate(time.Second).UTC()
	for _, b := range next.Blobs {
		next.Bytes += int64(len(v.blobs[b].sealed))
	}
	for _, b := range added {
		delete(v.staged, b)
	}
	v.snapshots = append(v.snapshots, next)
	return nil
}

// Snapshots implements vault.Store.
func (m *Memory) Snapshots(id vault.VaultID) ([]vault.SnapshotRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return nil, err
	}
	var all []vault.SnapshotRecord
	for _, s := range slices.Backward(v.snapshots) {
		s.Header, s.Blobs, s.Critical = bytes.Clone(s.Header), slices.Clone(s.Blobs), slices.Clone(s.Critical)
		all = append(all, s)
	}
	return all, nil
}

// Unstage implements vault.Store.
func (m *Memory) Unstage(id vault.VaultID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return err
	}
	for b := range v.staged {
		if v.staged[b] {
			delete(v.blobs, b)
		}
	}
	v.staged = make(map[vault.BlobID]bool)
	return nil
}
