package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sort"

	"github.com/reprovision/reprovision/pkg/manifest"
)

// wholeFresh is up to which length a fresh run is one chunk; longer ones are cut as
// large files are, so that they are found again elsewhere.
const wholeFresh = 64 << 10

// before returns what the base has under an item's name, and the marks of that, if
// the new contents can be written down as a change to it. A file that is in too many
// pieces already is better stored anew: every change repeats the list of them.
func (w *Writer) before(p *packer, item manifest.Item) (Entry, *blockIndex, bool) {
	if w.cfg.Marks == nil || p.base == nil {
		return Entry{}, nil, false
	}
	e, ok := p.base.Entry(item.Name)
	if !ok || e.Type != manifest.File || laneOf(e.Class) != p.lane || e.In(p.lost) || scattered(e) {
		return Entry{}, nil, false
	}
	index, ok := parseMarks(w.cfg.Marks.Marks(e.Digest), e.Size)
	return e, index, ok
}

// scattered tells whether a file consists of many more pieces than it was cut into.
func scattered(e Entry) bool {
	return int64(len(e.Extents)) > 64+8*e.Size/int64(fineSizes().NormalSize)
}

// patch stores what is new in the contents read from r, and refers to the old ones for
// the rest. It fills in the references alone.
func (w *Writer) patch(ctx context.Context, p *packer, old Entry, index *blockIndex, r io.Reader) (contents, error) {
	c := &patching{old: old, sum: sha256.New()}
	at := int64(0)
	for _, x := range old.Extents {
		c.starts = append(c.starts, at)
		at += int64(x.Len)
	}
	w.diff.index, w.diff.sums, w.diff.same = index, w.sums, c.same
	w.diff.fresh = func(b []byte) error {
		c.close()
		if len(b) <= wholeFresh {
			return p.storeChunk(ctx, &c.contents, "", b)
		}
		return w.cut.cut(bytes.NewReader(b), old.Size, func(chunk []byte) error { return p.storeChunk(ctx, &c.contents, "", chunk) })
	}
	if err := w.diff.run(r); err != nil {
		return contents{}, err
	}
	c.close()
	if len(c.refs) > MaxExtents {
		return contents{}, fmt.Errorf("%w: more than %d extents", ErrTooLarge, MaxExtents)
	}
	return c.contents, nil
}

// patching is a file whose old contents are referred to. The run of old bytes that is open
// lies within one extent.
type patching struct {
	contents
	old    Entry
	starts []int64 // of its extents
	open   ref     // its Len is 0 when there is none
	end    int64   // of the open run, in the old contents
	sum    hash.Hash
}

// same takes bytes that the old contents have at off.
func (c *patching) same(off int64, b []byte) error {
	for len(b) > 0 {
		i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > off }) - 1
		x := c.old.Extents[i]
		within := off - c.starts[i]
		if c.open.ext.Len == 0 || c.end != off || within == 0 {
			c.close()
			c.open = ref{ext: Extent{Pack: x.Pack, Off: x.Off + uint32(within)}}
		}
		n := min(len(b), int(int64(x.Len)-within))
		c.sum.Write(b[:n])
		c.open.ext.Len += uint32(n)
		off, b = off+int64(n), b[n:]
		c.end = off
	}
	return nil
}

// close ends the open run.
func (c *patching) close() {
	if c.open.ext.Len == 0 {
		return
	}
	c.open.ext.Sum = Sum(c.sum.Sum(nil)[:len(Sum{})])
	c.sum.Reset()
	c.refs = append(c.refs, c.open)
	c.open = ref{}
}
