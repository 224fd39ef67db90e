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
	next, staged, damaged := maps.Clone(v.blobs), maps.Clone(v.staged), maps.Clone(v.damaged)
	for _, b := range blobs {
		old, known := next[b.ID]
		if known && old.intact() {
			if !bytes.Equal(old.sealed, b.Sealed) && !damaged[b.ID] {
				return &vault.BlobError{ID: b.ID, Err: vault.ErrConflict}
			}
			delete(damaged, b.ID)
			continue
		}
		next[b.ID] = memBlob{sealed: bytes.Clone(b.Sealed), digest: sha256.Sum256(b.Sealed)}
		staged[b.ID] = staged[b.ID] || !known && !damaged[b.ID]
		delete(damaged, b.ID)
	}
	var size int64
	for _, b := range next {
		size += int64(len(b.sealed))
	}
	if err := m.limits.CheckUsage(len(next), size); err != nil {
		return err
	}
	v.blobs, v.staged, v.damaged = next, staged, damaged
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
	head, keep := v.head()
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
	return v.commit(next, keep, c.Add, now)
}

// head is the newest snapshot whose record reads, or nil, and the number of
// records up to it.
func (v *memVault) head() (*vault.SnapshotRecord, int) {
	for i, s := range slices.Backward(v.snapshots) {
		if !s.damaged {
			return &s.SnapshotRecord, i + 1
		}
	}
	return nil, 0
}

// commit puts a snapshot on top of the first keep ones.
func (v *memVault) commit(next vault.SnapshotRecord, keep int, added []vault.BlobID, now time.Time) error {
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
	forgot := keep < len(v.snapshots)
	v.snapshots = append(v.snapshots[:keep], memSnapshot{SnapshotRecord: next})
	if forgot {
		v.restage()
	}
	return nil
}

// restage puts the blobs that no snapshot names on the stage.
func (v *memVault) restage() {
	named := v.named()
	for b := range v.blobs {
		if !named[b] {
			v.staged[b] = true
		}
	}
}

func (v *memVault) named() map[vault.BlobID]bool {
	named := make(map[vault.BlobID]bool)
	for _, s := range v.snapshots {
		for _, b := range s.Blobs {
			named[b] = true
		}
	}
	return named
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
	var damaged []uint64
	for _, s := range slices.Backward(v.snapshots) {
		if s.damaged {
			damaged = append(damaged, s.Seq)
			err = &vault.DamagedSnapshots{Seqs: damaged, Err: vault.ErrDamaged}
			continue
		}
		s.Header, s.Blobs, s.Critical, s.Books = bytes.Clone(s.Header), slices.Clone(s.Blobs), slices.Clone(s.Critical), slices.Clone(s.Books)
		all = append(all, s.SnapshotRecord)
	}
	return all, err
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
			delete(v.damaged, b)
		}
	}
	v.staged = make(map[vault.BlobID]bool)
	return nil
}
