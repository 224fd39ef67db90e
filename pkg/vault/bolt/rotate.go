package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/vault"
)

// freshSuffix is that of the file that is to take the store's place while it is made.
const freshSuffix = ".new"

// Rotate implements vault.Rotator. bbolt leaves what was deleted in the free pages
// of its file, so the store is written anew beside the old file and takes its place
// by a rename: the old bytes, slots and seals are in neither the new file nor its
// free pages, and a power cut leaves the one or the other. The old file is
// overwritten before its space is given back. It takes as much room again as the
// store has while it runs; reading goes on meanwhile.
func (s *Store) Rotate(r vault.Record, rot vault.Rotation) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.writes.Add(1) // a Compact that is under way gives up
	s.copying.Lock()
	defer s.copying.Unlock()
	err := guard(func() error { return s.rotate(r, rot) })
	if err != nil {
		return fmt.Errorf("cannot rotate vault %s: %w", r.ID, err)
	}
	return nil
}

func (s *Store) rotate(r vault.Record, rot vault.Rotation) error {
	c := &rewrite{record: r, rot: rot, sizes: make(map[vault.BlobID]int64)}
	if err := s.view(c.begin); err != nil {
		return err
	}
	return s.renew(&copier{ctx: context.Background(), change: c.value}, func() error {
		if c.layers == 0 && c.headers > 0 { // the keys are wrong rather than all that is stored
			return fmt.Errorf("%w: no outer layer opens, that of %d headers neither", vault.ErrSealBroken, c.headers)
		}
		return nil
	})
}

// renew has the copy that c makes take the store's place, if check agrees with it, and
// overwrites the old file. With ErrTraces that is done, but for the overwriting.
func (s *Store) renew(c *copier, check func() error) error {
	name := s.path + freshSuffix
	if err := removeCopy(name); err != nil {
		return err
	}
	to, err := openFile(name, defaultTimeout, true)
	if err != nil {
		return err
	}
	c.to = to
	made, err := s.copyTo(c)
	if err == nil {
		err = check()
	}
	if err != nil {
		return errors.Join(err, to.Close(), removeCopy(name))
	}
	old, err := os.OpenFile(s.path, os.O_WRONLY, 0) // by this it is overwritten when it has no name any more
	if err != nil {
		return errors.Join(err, to.Close(), removeCopy(name))
	}
	defer old.Close()
	if err := s.replaceBy(to, name, made); err != nil {
		return errors.Join(err, to.Close(), removeCopy(name))
	}
	if err := s.wipe(old); err != nil {
		return fmt.Errorf("%w: %w", vault.ErrTraces, err)
	}
	return nil
}

// overwrite puts zeros in the place of a file's contents: all that can be done from
// here about what a medium keeps of a file that was removed.
func overwrite(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < info.Size(); at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), info.Size()-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// rewrite is what a rotation makes of one vault while the store is copied.
type rewrite struct {
	rot     vault.Rotation
	record  vault.Record
	sizes   map[vault.BlobID]int64 // of the vault's blobs, in the copy
	bytes   int64                  // all of them
	layers  int                    // outer layers that opened
	headers int                    // headers with one that no key opens
}

// rewrap rewraps a seal; ok is false for one that cannot be, because no key opens its
// outer layer: nothing that is made up may keep the rest from being rotated.
func (c *rewrite) rewrap(id vault.BlobID, sealed []byte) (rewrapped []byte, ok bool, err error) {
	rewrapped, err = c.rot.Blob(c.record.ID, id, sealed)
	if errors.Is(err, vault.ErrSealBroken) {
		return nil, false, nil
	}
	if err == nil && len(rewrapped) == len(sealed) { // one layer took the place of another
		c.layers++
	}
	return rewrapped, err == nil, err
}

func (c *rewrite) begin(tx *bbolt.Tx) error {
	in, err := enter(tx, c.record.ID)
	if err != nil {
		return err
	}
	if old, err := record(in.bucket); err == nil {
		c.record.Created = old.Created
	}
	return nil
}

// value is a value as the copy has it.
func (c *rewrite) value(path [][]byte, k, v []byte) ([]byte, error) {
	if len(path) < 2 || string(path[0]) != bucketVaults || !bytes.Equal(path[1], c.record.ID[:]) {
		return v, nil
	}
	switch {
	case len(path) == 2 && (string(k) == keyRecord || string(k) == keyRecordCopy):
		value, err := c.record.MarshalBinary()
		return sum(value), err
	case len(path) == 2 && string(k) == keyUsage:
		return c.usage(v)
	case len(path) == 3 && string(path[2]) == bucketBlobs && len(k) == len(vault.BlobID{}):
		return c.blob(vault.BlobID(k), v)
	case len(path) == 3 && string(path[2]) == bucketSnapshots:
		return c.snapshot(k, v)
	}
	return v, nil
}

// blob rewraps a blob. A damaged one stays as it is: the device sends it again. So does
// one that cannot be rewrapped, and by its digest it counts as damaged from then on.
func (c *rewrite) blob(id vault.BlobID, v []byte) ([]byte, error) {
	sealed, err := unsum(v)
	if err == nil && !c.rot.Wrap.IsZero() {
		rewrapped, ok, err := c.rewrap(id, sealed)
		if err != nil {
			return nil, err
		}
		if v = sum(rewrapped); !ok {
			v = spoilt(sealed)
		}
	}
	c.sizes[id] = blobSize(v)
	c.bytes += blobSize(v)
	return v, nil
}

// spoilt is a value under a digest that is not its own.
func spoilt(value []byte) []byte {
	v := sum(value)
	v[0] ^= 0xff
	return v
}

// snapshot rewraps a header. One that cannot be stays as it is, so that what the
// snapshot names stays: only a device could tell that it does not open, before as after.
func (c *rewrite) snapshot(k, v []byte) ([]byte, error) {
	s, err := snapshot(k, v)
	if err != nil || c.rot.Wrap.IsZero() {
		return v, nil
	}
	header, ok, err := c.rewrap(vault.BlobID(s.Snapshot), s.Header)
	if err != nil {
		return nil, err
	}
	if ok {
		s.Header = header
	} else {
		c.headers++
	}
	s.Bytes = 0
	for _, id := range s.Blobs {
		s.Bytes += c.sizes[id]
	}
	value, err := s.MarshalBinary()
	return sum(value), err
}

func (c *rewrite) usage(v []byte) ([]byte, error) {
	if old, err := unsum(v); err != nil || len(old) != 16 {
		return v, nil // damaged, and says so when it is next used
	}
	value := binary.BigEndian.AppendUint64(nil, uint64(len(c.sizes)))
	return sum(binary.BigEndian.AppendUint64(value, uint64(c.bytes))), nil
}
