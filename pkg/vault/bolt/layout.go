package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// The layout, see docs/formats.md.
const (
	storeFormat = 1

	bucketMeta   = "meta"
	keyFormat    = "format"
	bucketVaults = "vaults"

	// In the bucket of each vault, whose name is the vault's id.
	keyRecord       = "record"
	keyRecordCopy   = "record2" // the same: without it nobody knows whose the vault is
	keyUsage        = "usage"
	bucketSnapshots = "snapshots" // generation, 8 bytes big-endian: snapshot record
	bucketBlobs     = "blobs"     // id: sealed blob
	bucketStaged    = "staged"    // id: nothing
	bucketDamaged   = "damaged"   // id: nothing; made when it is needed
)

// sum puts the SHA-256 of a value in front of it.
func sum(value []byte) []byte {
	d := sha256.Sum256(value)
	return append(d[:], value...)
}

// unsum returns the value behind its digest. It still lies in the database's
// memory: copy it before the transaction ends.
func unsum(stored []byte) ([]byte, error) {
	if len(stored) < sha256.Size {
		return nil, vault.ErrDamaged
	}
	value := stored[sha256.Size:]
	if d := sha256.Sum256(value); !bytes.Equal(d[:], stored[:sha256.Size]) {
		return nil, vault.ErrDamaged
	}
	return value, nil
}

// blobSize is the size of a stored blob without its digest.
func blobSize(stored []byte) int64 {
	return max(0, int64(len(stored)-sha256.Size))
}

// room is the bucket of one vault with what lies in it.
type room struct {
	id        vault.VaultID
	bucket    *bbolt.Bucket
	snapshots *bbolt.Bucket
	blobs     *bbolt.Bucket
	staged    *bbolt.Bucket
	damaged   *bbolt.Bucket // nil while there is none
}

func vaults(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	b := tx.Bucket([]byte(bucketVaults))
	if b == nil {
		return nil, fmt.Errorf("%w: the list of vaults is gone", vault.ErrDamaged)
	}
	return b, nil
}

func enter(tx *bbolt.Tx, id vault.VaultID) (room, error) {
	all, err := vaults(tx)
	if err != nil {
		return room{}, err
	}
	b := all.Bucket(id[:])
	if b == nil {
		return room{}, fmt.Errorf("%w: %s", vault.ErrNoVault, id)
	}
	r := room{
		id: id, bucket: b, snapshots: b.Bucket([]byte(bucketSnapshots)),
		blobs: b.Bucket([]byte(bucketBlobs)), staged: b.Bucket([]byte(bucketStaged)),
		damaged: b.Bucket([]byte(bucketDamaged)),
	}
	if r.snapshots == nil || r.blobs == nil || r.staged == nil {
		return room{}, fmt.Errorf("%w: vault %s lacks a bucket", vault.ErrDamaged, id)
	}
	return r, nil
}

// usage is how much the vault holds. Where the note of that is damaged it is
// counted anew.
func (r room) usage() vault.Usage {
	v, err := unsum(r.bucket.Get([]byte(keyUsage)))
	if err != nil || len(v) != 16 {
		return r.count()
	}
	return vault.Usage{Blobs: int64(binary.BigEndian.Uint64(v)), Bytes: int64(binary.BigEndian.Uint64(v[8:]))}
}

// count adds up what is stored. It reads the keys and sizes alone.
func (r room) count() (u vault.Usage) {
	c := r.blobs.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		u.Blobs++
		u.Bytes += blobSize(v)
	}
	return u
}

func (r room) setUsage(u vault.Usage) error {
	v := binary.BigEndian.AppendUint64(nil, uint64(u.Blobs))
	return r.bucket.Put([]byte(keyUsage), sum(binary.BigEndian.AppendUint64(v, uint64(u.Bytes))))
}

// discard removes a blob from wherever it is named but in a snapshot.
func (r room) discard(id []byte, used *vault.Usage) error {
	used.Blobs--
	used.Bytes -= blobSize(r.blobs.Get(id))
	err := errors.Join(r.blobs.Delete(id), r.staged.Delete(id))
	if r.damaged != nil {
		err = errors.Join(err, r.damaged.Delete(id))
	}
	return err
}

func (r room) isDamaged(id []byte) bool {
	if r.damaged == nil {
		return false
	}
	k, _ := r.damaged.Cursor().Seek(id)
	return bytes.Equal(k, id)
}

// head is the newest snapshot whose record reads, nil when there is none, and
// the keys of the damaged records above it.
func (r room) head() (head *vault.SnapshotRecord, damaged [][]byte) {
	c := r.snapshots.Cursor()
	for k, v := c.Last(); k != nil; k, v = c.Prev() {
		if s, err := snapshot(k, v); err == nil {
			return &s, damaged
		}
		damaged = append(damaged, bytes.Clone(k))
	}
	return nil, damaged
}

func snapshot(k, v []byte) (s vault.SnapshotRecord, err error) {
	value, err := unsum(v)
	if err == nil {
		err = s.UnmarshalBinary(value)
	}
	if err == nil && !bytes.Equal(k, seqKey(s.Seq)) {
		err = vault.ErrRecord
	}
	if err != nil {
		return s, fmt.Errorf("snapshot record %x: %w: %w", k, vault.ErrDamaged, err)
	}
	return s, nil
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// seqOf is the generation that a key says; 0 for a damaged key.
func seqOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}
