package vaulttest

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/vault"
)

// with calls f with a vault.
func (m *Memory) with(id vault.VaultID, f func(*memVault) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.vault(id)
	if err != nil {
		return err
	}
	return f(v)
}

func sortIDs(ids []vault.BlobID) {
	slices.SortFunc(ids, func(a, b vault.BlobID) int { return bytes.Compare(a[:], b[:]) })
}

// Usage implements vault.Upkeep.
func (m *Memory) Usage(id vault.VaultID) (u vault.Usage, err error) {
	err = m.with(id, func(v *memVault) error {
		for _, b := range v.blobs {
			u.Blobs++
			u.Bytes += int64(len(b.sealed))
		}
		return nil
	})
	return u, err
}

// Remove implements vault.Upkeep.
func (m *Memory) Remove(id vault.VaultID, seqs []uint64) error {
	return m.with(id, func(v *memVault) error {
		if head, _ := v.head(); head != nil && slices.Contains(seqs, head.Seq) {
			return vault.ErrStale
		}
		v.snapshots = slices.DeleteFunc(v.snapshots, func(s memSnapshot) bool { return slices.Contains(seqs, s.Seq) })
		v.tidyDamaged()
		return nil
	})
}

func (v *memVault) tidyDamaged() {
	named := v.named()
	for b := range v.damaged {
		if _, stored := v.blobs[b]; !stored && !named[b] {
			delete(v.damaged, b)
		}
	}
}

// Mark implements vault.Upkeep.
func (m *Memory) Mark(id vault.VaultID) (vault.Marked, error) {
	marked := vault.Marked{Vault: id}
	err := m.with(id, func(v *memVault) error {
		if slices.ContainsFunc(v.snapshots, func(s memSnapshot) bool { return s.damaged }) {
			return vault.ErrDamaged
		}
		if head, _ := v.head(); head != nil {
			marked.Head = head.Snapshot
		}
		named := v.named()
		for b := range v.blobs {
			if !named[b] && !v.staged[b] {
				marked.Garbage = append(marked.Garbage, b)
			}
			delete(named, b)
		}
		for b := range named {
			marked.Lost = append(marked.Lost, b)
		}
		return nil
	})
	sortIDs(marked.Garbage)
	sortIDs(marked.Lost)
	return marked, err
}

// Sweep implements vault.Upkeep.
func (m *Memory) Sweep(marked vault.Marked) error {
	if len(marked.Garbage) == 0 {
		return nil
	}
	return m.with(marked.Vault, func(v *memVault) error {
		var now vault.SnapshotID
		head, keep := v.head()
		if head != nil {
			now = head.Snapshot
		}
		if now != marked.Head || keep != len(v.snapshots) {
			return fmt.Errorf("%w: another head", vault.ErrStale)
		}
		for _, b := range marked.Garbage {
			if !v.staged[b] {
				delete(v.blobs, b)
				delete(v.damaged, b)
			}
		}
		return nil
	})
}

// Inspect implements vault.Upkeep.
func (m *Memory) Inspect(id vault.VaultID, after vault.BlobID, limit int64) (seen vault.Inspection, err error) {
	seen.Last = after
	err = m.with(id, func(v *memVault) error {
		var ids []vault.BlobID
		for b := range v.blobs {
			if after == (vault.BlobID{}) || bytes.Compare(b[:], after[:]) > 0 {
				ids = append(ids, b)
			}
		}
		sortIDs(ids)
		for len(ids) > 0 && seen.Bytes < limit {
			b := v.blobs[ids[0]]
			seen.Last = ids[0]
			seen.Bytes += int64(len(b.sealed))
			if !b.intact() {
				seen.Bad = append(seen.Bad, ids[0])
			}
			ids = ids[1:]
		}
		seen.End = len(ids) == 0
		return nil
	})
	return seen, err
}

// SetDamaged implements vault.Upkeep.
func (m *Memory) SetDamaged(id vault.VaultID, blobs []vault.BlobID) error {
	return m.with(id, func(v *memVault) error {
		for _, b := range blobs {
			v.damaged[b] = true
		}
		v.tidyDamaged()
		return nil
	})
}

// Damaged implements vault.Upkeep.
func (m *Memory) Damaged(id vault.VaultID) (all []vault.BlobID, err error) {
	err = m.with(id, func(v *memVault) error {
		for b := range v.damaged {
			all = append(all, b)
		}
		sortIDs(all)
		return nil
	})
	return all, err
}

// Compact implements vault.Upkeep: there is nothing to give back.
func (m *Memory) Compact(context.Context) (int64, error) { return 0, nil }
