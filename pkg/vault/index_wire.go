package vault

import (
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// indexFormat is what is written; the first lacks the kinds, the second the sums of
// packs, and both can be read, too.
const indexFormat = 3

// indexWire is the encoding of a segment: one column for each property, since
// equal things side by side compress well and digests, which do not compress,
// then stand alone. A column holds one value for each entry, or for each one
// that has the property, in the order of names.
type indexWire struct {
	Format    uint8     `cbor:"1,keyasint"`
	Kind      uint8     `cbor:"2,keyasint"`
	Part      uint8     `cbor:"3,keyasint"`
	Seq       uint64    `cbor:"4,keyasint"`
	Packs     []byte    `cbor:"5,keyasint,omitempty"` // ids
	PackSizes columnU   `cbor:"6,keyasint,omitempty"`
	Removed   column    `cbor:"7,keyasint,omitempty"`
	Roots     rootsWire `cbor:"8,keyasint,omitempty"` // of the entries

	Names   column     `cbor:"9,keyasint,omitempty"`
	Types   []byte     `cbor:"10,keyasint,omitempty"` // one byte each
	Modes   columnU    `cbor:"11,keyasint,omitempty"`
	UIDs    columnU    `cbor:"12,keyasint,omitempty"`
	GIDs    columnU    `cbor:"13,keyasint,omitempty"`
	MTimes  columnI    `cbor:"14,keyasint,omitempty"`
	Sizes   columnI    `cbor:"15,keyasint,omitempty"` // files
	Digests []byte     `cbor:"16,keyasint,omitempty"` // files that are not empty
	Targets column     `cbor:"17,keyasint,omitempty"` // symlinks
	Xattrs  []xattrRow `cbor:"18,keyasint,omitempty"`

	Counts columnU `cbor:"19,keyasint,omitempty"` // extents of each file that is not empty
	PackNo columnI `cbor:"20,keyasint,omitempty"` // each extent: difference to the one before
	Offs   columnI `cbor:"21,keyasint,omitempty"` // each extent: difference to the end of the one before
	Lens   columnU `cbor:"22,keyasint,omitempty"` // extents of files that have several
	Sums   []byte  `cbor:"23,keyasint,omitempty"` // extents of files that have several

	Kinds  column  `cbor:"24,keyasint,omitempty"` // of contents, each once, in order
	KindNo columnU `cbor:"25,keyasint,omitempty"` // files that are not empty: 0, or which of the kinds, from 1

	Proofs []byte `cbor:"26,keyasint,omitempty"` // of each pack, in place of the digests
}

type (
	column  = [][]byte
	columnU = []uint32
	columnI = []int64
)

// xattrRow is one extended attribute of the entry of that number.
type xattrRow struct {
	_     struct{} `cbor:",toarray"`
	Entry uint32
	Name  []byte
	Value []byte
}

// encodeSegment writes a segment's entries; every pack that an extent refers
// to must be in its table.
func encodeSegment(s segment) ([]byte, error) {
	w := indexWire{Format: indexFormat, Kind: uint8(s.kind), Part: uint8(s.part), Seq: s.seq, Roots: wireRoots(rootsOf(s.entries))}
	number := make(map[BlobID]int64, len(s.packs))
	for i, p := range s.packs {
		number[p.id] = int64(i)
		w.Packs = append(w.Packs, p.id[:]...)
		w.PackSizes = append(w.PackSizes, p.size)
	}
	if s.bare {
		w.Proofs = proofsOf(s)
	}
	for _, n := range s.removed {
		w.Removed = append(w.Removed, []byte(n))
	}
	kinds := w.putKinds(s.entries)
	enc := extentEncoder{w: &w, number: number}
	for i, e := range s.entries {
		w.putItem(uint32(i), e.Item, kinds, s.bare)
		if err := enc.put(e); err != nil {
			return nil, err
		}
	}
	b, err := encodeCBOR(&w)
	if err == nil && len(b) > MaxIndex {
		err = fmt.Errorf("cannot encode an index of %d bytes: %w", len(b), ErrLimit)
	}
	return b, err
}

// putKinds fills the table of kinds and returns each one's number.
func (w *indexWire) putKinds(entries []Entry) map[string]uint32 {
	numbers := make(map[string]uint32)
	for _, e := range entries {
		if e.Kind != "" {
			numbers[e.Kind] = 0
		}
	}
	for i, k := range sortedKeys(numbers) {
		numbers[k] = uint32(i) + 1
		w.Kinds = append(w.Kinds, []byte(k))
	}
	return numbers
}

func (w *indexWire) putItem(i uint32, it manifest.Item, kinds map[string]uint32, bare bool) {
	w.Names = append(w.Names, []byte(it.Name))
	w.Types = append(w.Types, byte(it.Type))
	w.Modes = append(w.Modes, it.Mode)
	w.UIDs = append(w.UIDs, it.UID)
	w.GIDs = append(w.GIDs, it.GID)
	w.MTimes = append(w.MTimes, it.MTime)
	switch it.Type {
	case manifest.File:
		w.Sizes = append(w.Sizes, it.Size)
		if it.Size > 0 {
			if !bare {
				w.Digests = append(w.Digests, it.Digest[:]...)
			}
			w.KindNo = append(w.KindNo, kinds[it.Kind])
		}
	case manifest.Symlink:
		w.Targets = append(w.Targets, []byte(it.Target))
	}
	for _, name := range sortedKeys(it.Xattrs) {
		w.Xattrs = append(w.Xattrs, xattrRow{Entry: i, Name: []byte(name), Value: slices.Concat([]byte{}, it.Xattrs[name])})
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// extentEncoder writes extents as differences. Small files that were packed
// one after the other so become zeros.
type extentEncoder struct {
	w      *indexWire
	number map[BlobID]int64
	pack   int64 // of the extent before
	end    int64
}

func (x *extentEncoder) put(e Entry) error {
	if e.Type != manifest.File || e.Size == 0 {
		return nil
	}
	x.w.Counts = append(x.w.Counts, uint32(len(e.Extents)))
	for _, ext := range e.Extents {
		no, ok := x.number[ext.Pack]
		if !ok {
			return entryError(e.Name, "an extent in an unknown pack %s", ext.Pack)
		}
		if no != x.pack {
			x.end = 0
		}
		x.w.PackNo = append(x.w.PackNo, no-x.pack)
		x.w.Offs = append(x.w.Offs, int64(ext.Off)-x.end)
		x.pack, x.end = no, int64(ext.Off)+int64(ext.Len)
		if len(e.Extents) > 1 {
			x.w.Lens = append(x.w.Lens, ext.Len)
			x.w.Sums = append(x.w.Sums, ext.Sum[:]...)
		}
	}
	return nil
}

func parseNames(col column) ([]userdata.Name, error) {
	names := make([]userdata.Name, 0, len(col))
	for _, b := range col {
		n, err := userdata.ParseName(string(b))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDataSet, err)
		}
		if len(names) > 0 && names[len(names)-1] >= n {
			return nil, entryError(n, "out of order or twice")
		}
		names = append(names, n)
	}
	return names, nil
}
