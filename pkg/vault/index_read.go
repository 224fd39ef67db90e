package vault

import (
	"crypto/sha256"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// decodeSegment reads what encodeSegment wrote and checks every value that it
// holds, by itself; chain holds it against what came before.
func decodeSegment(plain []byte) (segment, error) {
	var w indexWire
	if err := decodeCBOR(plain, &w); err != nil {
		return segment{}, fmt.Errorf("%w: index: %w", ErrDataSet, err)
	}
	if w.Format < 1 || w.Format > indexFormat || w.Part >= partCount || w.Kind < uint8(indexFull) || w.Kind > uint8(indexDelta) {
		return segment{}, fmt.Errorf("%w: an index of format %d, kind %d, part %d", ErrDataSet, w.Format, w.Kind, w.Part)
	}
	s := segment{kind: indexKind(w.Kind), part: Part(w.Part), seq: w.Seq}
	roots, err := w.Roots.parse()
	if err != nil {
		return segment{}, fmt.Errorf("%w: index: %w", ErrDataSet, err)
	}
	r := indexReader{w: &w, roots: roots, part: s.part}
	if r.kinds, err = parseKinds(w.Kinds); err != nil {
		return segment{}, err
	}
	if s.packs, err = r.packs(); err != nil {
		return segment{}, err
	}
	if s.removed, err = parseNames(w.Removed); err != nil {
		return segment{}, err
	}
	if len(s.removed) > 0 && s.kind != indexDelta {
		return segment{}, fmt.Errorf("%w: a full index that removes items", ErrDataSet)
	}
	if s.bare = len(w.Proofs) > 0; s.bare && (w.Format < 3 || len(w.Digests) > 0) {
		return segment{}, fmt.Errorf("%w: an index with digests and sums of packs", ErrDataSet)
	}
	r.bare = s.bare
	if s.entries, err = r.entries(); err != nil {
		return segment{}, err
	}
	if s.bare {
		if s.proofs, err = parseProofs(w.Proofs, s); err != nil {
			return segment{}, err
		}
	}
	return s, disjoint(s.removed, s.entries)
}

// disjoint refuses a delta that both puts and removes a name.
func disjoint(removed []userdata.Name, put []Entry) error {
	for len(removed) > 0 && len(put) > 0 {
		switch {
		case removed[0] == put[0].Name:
			return entryError(removed[0], "put and removed at once")
		case removed[0] < put[0].Name:
			removed = removed[1:]
		default:
			put = put[1:]
		}
	}
	return nil
}

// indexReader takes the columns of an index apart. Its fields of wire columns
// shrink as they are read.
type indexReader struct {
	w     *indexWire
	roots map[string]userdata.Class
	part  Part
	kinds []string
	bare  bool // it has no digests
	table []packInfo
	sizes map[BlobID]uint32
	pack  int64
	end   int64
}

func (r *indexReader) packs() ([]packInfo, error) {
	ids, err := splitIDs(r.w.Packs, maxElements)
	if err != nil || len(ids) != len(r.w.PackSizes) {
		return nil, fmt.Errorf("%w: a table of %d packs and %d sizes: %w", ErrDataSet, len(ids), len(r.w.PackSizes), orMismatch(err))
	}
	r.sizes = make(map[BlobID]uint32, len(ids))
	for i, id := range ids {
		if r.w.PackSizes[i] > MaxPack {
			return nil, fmt.Errorf("%w: a pack of %d bytes: %w", ErrDataSet, r.w.PackSizes[i], ErrLimit)
		}
		r.sizes[id] = r.w.PackSizes[i]
		r.table = append(r.table, packInfo{id: id, size: r.w.PackSizes[i]})
	}
	return r.table, nil
}

func orMismatch(err error) error {
	if err == nil {
		return errColumns
	}
	return err
}

// entries reads all columns; each must be used up exactly.
func (r *indexReader) entries() ([]Entry, error) {
	names, err := parseNames(r.w.Names)
	if err != nil {
		return nil, err
	}
	n := len(names)
	if len(r.w.Types) != n || len(r.w.Modes) != n || len(r.w.UIDs) != n || len(r.w.GIDs) != n || len(r.w.MTimes) != n {
		return nil, fmt.Errorf("%w: %w", ErrDataSet, errColumns)
	}
	var entries []Entry
	for i, name := range names {
		e, err := r.entry(i, name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, r.exhausted()
}

func (r *indexReader) exhausted() error {
	w := r.w
	if len(w.Sizes)+len(w.Digests)+len(w.Targets)+len(w.Xattrs)+len(w.Counts)+len(w.PackNo)+len(w.Offs)+len(w.Lens)+len(w.Sums)+len(w.KindNo) > 0 {
		return fmt.Errorf("%w: %w", ErrDataSet, errColumns)
	}
	return nil
}

func (r *indexReader) entry(i int, name userdata.Name) (Entry, error) {
	class, ok := r.roots[name.Root()]
	if !ok || PartOf(class) != r.part {
		return Entry{}, entryError(name, "its root has no class of the %s part", r.part)
	}
	e := Entry{Item: manifest.Item{
		Name: name, Class: class, Type: manifest.Type(r.w.Types[i]), Mode: r.w.Modes[i],
		UID: r.w.UIDs[i], GID: r.w.GIDs[i], MTime: r.w.MTimes[i],
	}}
	var err error
	switch e.Type {
	case manifest.File:
		err = r.file(&e)
	case manifest.Symlink:
		var target []byte
		target, err = take(&r.w.Targets)
		e.Target = string(target)
	}
	if err != nil {
		return Entry{}, entryError(name, "%w", err)
	}
	if err := r.xattrs(i, &e); err != nil {
		return Entry{}, err
	}
	if err := checkItem(e.Item); err != nil {
		return Entry{}, err
	}
	return e, checkContents(e, r.sizes)
}

func (r *indexReader) file(e *Entry) (err error) {
	if e.Size, err = take(&r.w.Sizes); err != nil {
		return err
	}
	if e.Size <= 0 {
		e.Digest = sha256.Sum256(nil) // checkContents refuses a negative size
		return nil
	}
	if !r.bare {
		if err = takeBytes(&r.w.Digests, e.Digest[:]); err != nil {
			return err
		}
	}
	if err = r.kind(e); err != nil {
		return err
	}
	return r.extents(e)
}

// kind reads what the contents are; the first format does not say.
func (r *indexReader) kind(e *Entry) error {
	if r.w.Format < 2 {
		return nil
	}
	no, err := take(&r.w.KindNo)
	if err != nil {
		return err
	}
	if int(no) > len(r.kinds) {
		return fmt.Errorf("a kind that the table does not list")
	}
	if no > 0 {
		e.Kind = r.kinds[no-1]
	}
	return nil
}

// parseKinds reads the table of kinds, sorted, each once.
func parseKinds(col column) ([]string, error) {
	var kinds []string
	for i, b := range col {
		if len(b) == 0 || len(b) > maxKind || !utf8.Valid(b) || i > 0 && kinds[i-1] >= string(b) {
			return nil, fmt.Errorf("%w: index: a bad table of kinds", ErrDataSet)
		}
		kinds = append(kinds, string(b))
	}
	return kinds, nil
}

func (r *indexReader) extents(e *Entry) error {
	count, err := take(&r.w.Counts)
	if err != nil {
		return err
	}
	if count > MaxExtents || int(count) > len(r.w.PackNo) || r.bare && count != 1 {
		return errColumns
	}
	e.Extents = make([]Extent, count)
	for i := range e.Extents {
		x := &e.Extents[i]
		if x.Len, err = r.length(e, x, count); err != nil {
			return err
		}
		if err = r.place(x); err != nil {
			return err
		}
	}
	return nil
}

// length reads the columns that only files of several extents have.
func (r *indexReader) length(e *Entry, x *Extent, count uint32) (uint32, error) {
	if count == 1 {
		if e.Size > MaxPack {
			return 0, fmt.Errorf("an extent of %d bytes: %w", e.Size, ErrLimit)
		}
		return uint32(e.Size), nil
	}
	if err := takeBytes(&r.w.Sums, x.Sum[:]); err != nil {
		return 0, err
	}
	return take(&r.w.Lens)
}

// place turns the differences back into a pack and an offset.
func (r *indexReader) place(x *Extent) error {
	dp, err := take(&r.w.PackNo)
	if err != nil {
		return err
	}
	do, err := take(&r.w.Offs)
	if err != nil {
		return err
	}
	if dp < -r.pack || dp >= int64(len(r.table))-r.pack {
		return fmt.Errorf("an extent in a pack that the table does not list")
	}
	if dp != 0 {
		r.end = 0
	}
	if do < -r.end || do > math.MaxUint32-r.end {
		return fmt.Errorf("an extent outside its pack")
	}
	r.pack += dp
	x.Pack, x.Off = r.table[r.pack].id, uint32(r.end+do)
	r.end = int64(x.Off) + int64(x.Len)
	return nil
}

// xattrs takes the rows of the i-th entry, sorted by name.
func (r *indexReader) xattrs(i int, e *Entry) error {
	last := ""
	for len(r.w.Xattrs) > 0 && r.w.Xattrs[0].Entry == uint32(i) {
		row := r.w.Xattrs[0]
		r.w.Xattrs = r.w.Xattrs[1:]
		if string(row.Name) <= last {
			return entryError(e.Name, "extended attributes out of order, twice or without a name")
		}
		last = string(row.Name)
		if e.Xattrs == nil {
			e.Xattrs = make(map[string][]byte)
		}
		e.Xattrs[last] = row.Value
	}
	return nil
}
