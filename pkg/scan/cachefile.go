package scan

import (
	"bytes"
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

	flagCount  = 12 // see switches
	flagsKnown = 1<<flagCount - 1

	entrySize  = 192 // bytes of one entry, about
	leastEntry = 40  // bytes of one entry at least: it has a digest

	maxKind = 256 // bytes of a kind or of why contents are broken
)

// A cache is a map of two: under 1 the version, under 2 an array of the entries. So
// each begins with cacheHead, and the length of the array. RFC 8949, section 3.
const (
	cacheHead = "\xa2\x01" + string(rune(cacheVersion)) + "\x02"

	cborMajor = 0xE0 // the bits that tell the major type
	cborArray = 0x80
)

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
	mode, err := cbor.CoreDetEncOptions().UserBufferEncMode()
	if err != nil {
		return nil, fmt.Errorf("cannot encode the scan cache: %w", err)
	}
	var data bytes.Buffer
	data.Grow(len(cacheHead) + 9 + entrySize*len(c.entries))
	data.WriteString(cacheHead)
	if err = mode.MarshalToBuffer(len(c.entries), &data); err == nil {
		data.Bytes()[len(cacheHead)] |= cborArray // a length is written as a number of another major type
	}
	for i := 0; i < len(c.entries) && err == nil; i++ {
		err = mode.MarshalToBuffer(toWire(&c.entries[i]), &data)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot encode the scan cache: %w", err)
	}
	return data.Bytes(), nil
}

func toWire(e *cacheEntry) wireEntry {
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
	for i, set := range e.switches() {
		if *set {
			flags |= 1 << i
		}
	}
	return flags
}

// switches are where the flags of an entry are kept, in the order of their bits.
func (e *Entry) switches() [flagCount]*bool {
	return [flagCount]*bool{&e.Settled, &e.Nul, &e.Cut, &e.Gap, &e.Text, &e.Ended, &e.Dense, &e.Open, &e.Odd, &e.Unsure, &e.Stray, &e.Torn}
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
	n, data, err := begun(mode, data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadCache, err)
	}
	entries := make([]cacheEntry, 0, n)
	for i := range n {
		var w wireEntry // one at a time, for all of them would take as much memory again
		if data, err = mode.UnmarshalFirst(data, &w); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrBadCache, i, err)
		}
		e, err := w.entry()
		if err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrBadCache, i, err)
		}
		if i > 0 && entries[i-1].name >= e.name {
			return fmt.Errorf("%w: entry %d is out of order", ErrBadCache, i)
		}
		entries = append(entries, e)
	}
	if len(data) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrBadCache, len(data))
	}
	c.entries = entries
	return nil
}

// begun reads what stands before the entries, and returns how many there are to be.
func begun(mode cbor.DecMode, data []byte) (entries int, rest []byte, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(cacheHead))
	if !ok || len(rest) == 0 || rest[0]&cborMajor != cborArray {
		return 0, nil, errors.New("another format or version")
	}
	var n uint64
	number := append([]byte{rest[0] &^ cborMajor}, rest[1:min(9, len(rest))]...)
	left, err := mode.UnmarshalFirst(number, &n)
	if err != nil {
		return 0, nil, err
	}
	rest = rest[len(number)-len(left):]
	if n > maxCacheEntries || n > uint64(len(rest)/leastEntry) {
		return 0, nil, fmt.Errorf("%d entries", n)
	}
	return int(n), rest, nil
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
	for i, set := range e.switches() {
		*set = w.Flags&(1<<i) != 0
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
