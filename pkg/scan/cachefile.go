package scan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// ErrBadCache is wrapped by every error of Unmarshal. A cache that cannot be
// read is no loss: an empty one makes the next scan read everything.
var ErrBadCache = errors.New("not a scan cache")

const (
	cacheVersion    = 3
	maxCacheEntries = 1 << 24

	flagSettled = 1
	flagNul     = 2
	flagCut     = 4
	flagGap     = 8
	flagText    = 16
	flagEnded   = 32
	flagDense   = 64
	flagOpen    = 128
	flagOdd     = 256
	flagsKnown  = 511

	maxKind = 256 // bytes of a kind or of why contents are broken
)

type wireCache struct {
	Version uint64      `cbor:"1,keyasint"`
	Entries []wireEntry `cbor:"2,keyasint"`
}

// wireEntry carries names as byte strings, because a CBOR text must be UTF-8 and
// a file name need not be.
type wireEntry struct {
	_                  struct{} `cbor:",toarray"`
	Name               []byte
	Dev, Ino           uint64
	Size, MTime, CTime int64
	Mode               uint32
	Flags              uint16
	Digest             []byte
	Xattrs             []wireXattr
	Kind, Broken       string
	Marks              []uint32
}

type wireXattr struct {
	_           struct{} `cbor:",toarray"`
	Name, Value []byte
}

// Marshal encodes the cache as deterministic CBOR (RFC 8949, section 4.2.1): one
// cache, one encoding.
func (c Cache) Marshal() ([]byte, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, fmt.Errorf("cannot encode the scan cache: %w", err)
	}
	w := wireCache{Version: cacheVersion, Entries: make([]wireEntry, 0, len(c.entries))}
	for _, e := range c.entries {
		w.Entries = append(w.Entries, toWire(e))
	}
	data, err := mode.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the scan cache: %w", err)
	}
	return data, nil
}

func toWire(e cacheEntry) wireEntry {
	w := wireEntry{
		Name: []byte(e.name), Dev: e.Dev, Ino: e.Ino, Size: e.Size,
		MTime: e.MTime, CTime: e.CTime, Mode: e.Mode, Flags: e.flags(), Digest: e.Digest[:],
		Kind: e.Kind, Broken: e.Broken, Marks: e.Marks,
	}
	for name, value := range e.Xattrs {
		w.Xattrs = append(w.Xattrs, wireXattr{Name: []byte(name), Value: value})
	}
	slices.SortFunc(w.Xattrs, func(a, b wireXattr) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return w
}

func (e *Entry) flags() uint16 {
	var flags uint16
	for flag, set := range e.switches() {
		if *set {
			flags |= flag
		}
	}
	return flags
}

// switches are where the flags of an entry are kept.
func (e *Entry) switches() map[uint16]*bool {
	return map[uint16]*bool{
		flagSettled: &e.Settled, flagNul: &e.Nul, flagCut: &e.Cut, flagGap: &e.Gap,
		flagText: &e.Text, flagEnded: &e.Ended, flagDense: &e.Dense, flagOpen: &e.Open, flagOdd: &e.Odd,
	}
}

// Unmarshal replaces the cache by one that Marshal encoded. On an error the
// cache is as before.
func (c *Cache) Unmarshal(data []byte) error {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, MaxArrayElements: maxCacheEntries,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err != nil {
		return fmt.Errorf("cannot decode the scan cache: %w", err)
	}
	var w wireCache
	if err := mode.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("%w: %w", ErrBadCache, err)
	}
	if w.Version != cacheVersion {
		return fmt.Errorf("%w: version %d", ErrBadCache, w.Version)
	}
	entries, err := fromWire(w.Entries)
	if err != nil {
		return err
	}
	c.entries = entries
	return nil
}

func fromWire(wire []wireEntry) ([]cacheEntry, error) {
	entries := make([]cacheEntry, 0, len(wire))
	for i := range wire {
		e, err := wire[i].entry()
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ErrBadCache, i, err)
		}
		if i > 0 && entries[i-1].name >= e.name {
			return nil, fmt.Errorf("%w: entry %d is out of order", ErrBadCache, i)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (w *wireEntry) entry() (cacheEntry, error) {
	name, err := userdata.ParseName(string(w.Name))
	if err != nil {
		return cacheEntry{}, err
	}
	if len(w.Digest) != len(manifest.Digest{}) {
		return cacheEntry{}, fmt.Errorf("digest of %d bytes", len(w.Digest))
	}
	if w.Size < 0 || w.Flags&^flagsKnown != 0 || len(w.Kind) > maxKind || len(w.Broken) > maxKind || len(w.Marks) > maxMarks {
		return cacheEntry{}, errors.New("bad size or nature")
	}
	e := cacheEntry{name: name, Entry: Entry{
		Observation: Observation{w.Dev, w.Ino, w.Size, w.MTime, w.CTime, w.Mode},
		Digest:      manifest.Digest(w.Digest),
		Nature:      Nature{Kind: w.Kind, Broken: w.Broken, Marks: w.Marks},
	}}
	for flag, set := range e.switches() {
		*set = w.Flags&flag != 0
	}
	e.Xattrs, err = xattrsFromWire(w.Xattrs)
	return e, err
}

func xattrsFromWire(wire []wireXattr) (map[string][]byte, error) {
	if len(wire) == 0 {
		return nil, nil
	}
	if len(wire) > maxXattrs {
		return nil, fmt.Errorf("%d extended attributes", len(wire))
	}
	attrs := make(map[string][]byte, len(wire))
	for i, x := range wire {
		if i > 0 && string(wire[i-1].Name) >= string(x.Name) {
			return nil, errors.New("extended attributes out of order")
		}
		if !carried(string(x.Name)) || len(x.Value) > maxXattrValue {
			return nil, errors.New("bad extended attribute")
		}
		attrs[string(x.Name)] = x.Value
	}
	return attrs, nil
}
