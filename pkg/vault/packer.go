package vault

import (
	"context"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/reprovision/reprovision/pkg/manifest"
)

// ref is an extent whose pack may still be open, and so without an id.
type ref struct {
	ext  Extent // with its Sum, and with its Pack where that is known
	slot int    // number of the slot that it is in, counted from 1; 0 where ext.Pack is known
}

// packer fills the packs of one lane and knows what is stored already.
type packer struct {
	lane  lane
	part  Part
	salt  SnapshotID
	base  *DataSet        // whose chunks may be used again; nil for none
	lost  map[BlobID]bool // packs of the base that are of no use any more
	known map[Sum]ref
	packs []packInfo // new ones
	slots []slot
	open  []*openGroup
	out   func(ctx context.Context, b plainBlob) (indexInfo, error)
}

// plainBlob is a blob before it is compressed and sealed.
type plainBlob struct {
	kind  Kind
	part  Part
	salt  SnapshotID
	level zstd.EncoderLevel
	plain []byte
	cuts  []int // where the frames of a pack end; nil for one
}

// packLevel is how hard contents are compressed. What goes on the card is
// small, and its bytes decide how soon a device is on the network again.
func packLevel(p Part) zstd.EncoderLevel {
	if p == Critical {
		return zstd.SpeedBestCompression
	}
	return zstd.SpeedBetterCompression
}

// lookup finds a stored chunk. Length and sum must be equal.
func (p *packer) lookup(sum Sum, size int) (ref, bool) {
	if p.known == nil {
		p.learn()
	}
	r, ok := p.known[sum]
	return r, ok && int(r.ext.Len) == size
}

// learn lists the chunks of the base, on first need.
func (p *packer) learn() {
	p.known = make(map[Sum]ref)
	if p.base == nil {
		return
	}
	for _, e := range p.base.partEntries(p.part) {
		if laneOf(e.Class) != p.lane {
			continue
		}
		for i, x := range e.Extents {
			if p.lost[x.Pack] {
				continue
			}
			x.Sum = e.extentSum(i)
			p.known[x.Sum] = ref{ext: x}
		}
	}
}

// store returns where the chunk lies, packing it with its group if it is new.
func (p *packer) store(ctx context.Context, group string, chunk []byte) (ref, error) {
	sum := sumOf(chunk)
	if r, ok := p.lookup(sum, len(chunk)); ok {
		return r, nil
	}
	g := p.group(group)
	if len(g.buf)+len(chunk) > MaxPack {
		if err := p.put(ctx, []*openGroup{g}); err != nil {
			return ref{}, err
		}
	}
	if g.slot == 0 {
		p.slots = append(p.slots, slot{})
		g.slot = len(p.slots)
	}
	r := ref{slot: g.slot, ext: Extent{Off: uint32(len(g.buf)), Len: uint32(len(chunk)), Sum: sum}}
	g.buf = append(g.buf, chunk...)
	p.known[sum] = r
	if len(g.buf) < g.target {
		return r, nil
	}
	return r, p.put(ctx, []*openGroup{g})
}

// flush seals what is open, several groups in a pack where they fit.
func (p *packer) flush(ctx context.Context) error {
	var together []*openGroup
	total := 0
	for _, g := range p.open {
		if total+len(g.buf) > packTarget {
			if err := p.put(ctx, together); err != nil {
				return err
			}
			together, total = nil, 0
		}
		if len(g.buf) > 0 {
			together, total = append(together, g), total+len(g.buf)
		}
	}
	return p.put(ctx, together)
}

// put seals the contents of some groups as a pack, hands it on and empties them.
func (p *packer) put(ctx context.Context, groups []*openGroup) error {
	if len(groups) == 0 {
		return nil
	}
	plain := groups[0].buf
	for _, g := range groups[1:] {
		p.slots[g.slot-1].base = uint32(len(plain))
		plain = append(plain, g.buf...)
	}
	put, err := p.out(ctx, plainBlob{kind: KindPack, part: p.part, salt: p.salt, level: packLevel(p.part), plain: plain, cuts: cuts(groups)})
	if err != nil {
		return err
	}
	for _, g := range groups {
		p.slots[g.slot-1].pack = len(p.packs)
		g.slot, g.buf = 0, g.buf[:0]
	}
	p.packs = append(p.packs, packInfo{id: put.id, size: uint32(len(plain))})
	return nil
}

// extents are the final form of refs, once all packs are flushed.
func (p *packer) extents(refs []ref) []Extent {
	if len(refs) == 0 {
		return nil
	}
	xs := make([]Extent, len(refs))
	for i, r := range refs {
		xs[i] = r.ext
		if r.slot > 0 {
			at := p.slots[r.slot-1]
			xs[i].Pack = p.packs[at.pack].id
			xs[i].Off += at.base
		}
	}
	if len(xs) == 1 {
		xs[0].Sum = Sum{}
	}
	return xs
}

// refsTo are the extents of an entry of the base, to be used again.
func refsTo(e Entry) []ref {
	var refs []ref
	for i, x := range e.Extents {
		x.Sum = e.extentSum(i)
		refs = append(refs, ref{ext: x})
	}
	return refs
}

// contents is what was read of a file.
type contents struct {
	refs   []ref
	size   int64
	digest manifest.Digest
}

// reusable tells whether the base has the same contents under the same name.
func (p *packer) reusable(it manifest.Item, size int64, digest manifest.Digest) (Entry, bool) {
	if p.base == nil {
		return Entry{}, false
	}
	e, ok := p.base.Entry(it.Name)
	ok = ok && e.Type == manifest.File && e.Size == size && e.Digest == digest && laneOf(e.Class) == p.lane
	ok = ok && !e.In(p.lost)
	return e, ok
}

// storeChunk packs the next chunk of a large file.
func (p *packer) storeChunk(ctx context.Context, c *contents, group string, chunk []byte) error {
	if len(c.refs) == MaxExtents {
		return fmt.Errorf("%w: more than %d extents", ErrTooLarge, MaxExtents)
	}
	r, err := p.store(ctx, group, chunk)
	c.refs = append(c.refs, r)
	return err
}
