package validate

import (
	"bytes"
	"context"
	"encoding/binary"
)

// The first bytes of a GVariant database in this machine's order of bytes and in
// the other one.
const (
	gvdbMagic   = "GVariant"
	gvdbSwapped = "raVGtnai"
)

// gvdbMax is how large a database may be: it is held in memory. Those of dconf
// are some kilobytes.
const gvdbMax = 8 << 20

const (
	gvdbHeader = 24 // magic, version, options, pointer to the root table
	gvdbItem   = 24 // hash, parent, key, its length, type, value
	gvdbNone   = 0xffffffff
)

// gvdb is a GVariant database (gvdb-format.h), as dconf, GSettings schemas and
// GResource write it: hash tables whose items point at keys and values.
type gvdb struct {
	b     []byte
	order binary.ByteOrder
	todo  []gvdbTable // tables that items point at
	items int         // of all tables, to bound tables that point at each other
}

type gvdbTable struct {
	start, end       uint32
	buckets, entries uint32 // their offsets
	nBuckets, nItems uint32
}

func checkGVDB(ctx context.Context, f File) error {
	b, err := f.whole(gvdbMax)
	if err != nil {
		return err
	}
	g := &gvdb{b: b, order: binary.LittleEndian}
	if bytes.HasPrefix(b, []byte(gvdbSwapped)) {
		g.order = binary.BigEndian
	} else if !bytes.HasPrefix(b, []byte(gvdbMagic)) {
		return broken("gvdb", "its first bytes are not those of a database")
	}
	if len(b) < gvdbHeader || g.u32(8) != 0 {
		return broken("gvdb", "its header is not whole")
	}
	g.todo = []gvdbTable{{start: g.u32(16), end: g.u32(20)}}
	for len(g.todo) > 0 {
		t := g.todo[0]
		g.todo = g.todo[1:]
		if err := g.table(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (g *gvdb) u32(off uint32) uint32 { return g.order.Uint32(g.b[off:]) }

// region tells whether a pointer lies in the file, behind its header, and is aligned.
func (g *gvdb) region(start, end, align uint32) bool {
	return start >= gvdbHeader && start <= end && uint64(end) <= uint64(len(g.b)) && start%align == 0
}

func (g *gvdb) table(ctx context.Context, t gvdbTable) error {
	if !g.layout(&t) {
		return broken("gvdb", "byte %d: a table that does not fit its place", t.start)
	}
	if g.items += int(t.nItems) + 1; g.items > len(g.b)/8 {
		return broken("gvdb", "byte %d: tables that hold each other", t.start)
	}
	if !g.sorted(t) {
		return broken("gvdb", "byte %d: the buckets of a table are out of order", t.start)
	}
	for i := range t.nItems {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if what := g.item(t, i); what != "" {
			return broken("gvdb", "byte %d: %s", t.entries+i*gvdbItem, what)
		}
	}
	return nil
}

// layout finds the parts of a table: a Bloom filter, the buckets, the items.
func (g *gvdb) layout(t *gvdbTable) bool {
	if !g.region(t.start, t.end, 4) || t.end-t.start < 8 {
		return false
	}
	bloom := uint64(g.u32(t.start) & (1<<27 - 1))
	t.nBuckets = g.u32(t.start + 4)
	entries := uint64(t.start) + 8 + 4*bloom + 4*uint64(t.nBuckets)
	if entries > uint64(t.end) || (uint64(t.end)-entries)%gvdbItem != 0 {
		return false
	}
	t.entries = uint32(entries)
	t.buckets = t.entries - 4*t.nBuckets
	t.nItems = (t.end - t.entries) / gvdbItem
	return t.nItems == 0 || t.nBuckets > 0
}

// sorted checks that the buckets, which hold the index of their first item, ascend.
func (g *gvdb) sorted(t gvdbTable) bool {
	for i, last := uint32(0), uint32(0); i < t.nBuckets; i++ {
		first := g.u32(t.buckets + 4*i)
		if first < last || first > t.nItems || i == 0 && first != 0 {
			return false
		}
		last = first
	}
	return true
}

// item gives what is wrong with an item of a table.
func (g *gvdb) item(t gvdbTable, i uint32) string {
	at := t.entries + i*gvdbItem
	hash, parent := g.u32(at), g.u32(at+4)
	if parent != gvdbNone && parent >= t.nItems {
		return "an item whose parent does not exist"
	}
	key, keySize := g.u32(at+8), uint32(g.order.Uint16(g.b[at+12:]))
	if !g.region(key, key+keySize, 1) {
		return "an item whose key lies outside"
	}
	// The hash goes on from that of the parent, whose key comes before this one's.
	from := uint32(5381)
	if parent != gvdbNone {
		from = g.u32(t.entries + parent*gvdbItem)
	}
	if gvdbHash(from, g.b[key:key+keySize]) != hash {
		return "an item whose key does not have its hash"
	}
	bucket := hash % t.nBuckets
	if i < g.u32(t.buckets+4*bucket) || bucket+1 < t.nBuckets && i >= g.u32(t.buckets+4*(bucket+1)) {
		return "an item in the wrong bucket"
	}
	return g.value(t, at)
}

func gvdbHash(h uint32, key []byte) uint32 {
	for _, c := range key {
		h = h*33 + uint32(int8(c))
	}
	return h
}

func (g *gvdb) value(t gvdbTable, at uint32) string {
	start, end := g.u32(at+16), g.u32(at+20)
	switch g.b[at+14] {
	case 'v':
		if !g.region(start, end, 8) || !isVariant(g.b[start:end]) {
			return "an item whose value is not whole"
		}
	case 'H':
		if start == t.start || !g.region(start, end, 4) {
			return "an item whose table lies outside"
		}
		g.todo = append(g.todo, gvdbTable{start: start, end: end})
	case 'L':
		if !g.region(start, end, 4) || !g.list(t, start, end) {
			return "an item whose children do not exist"
		}
	default:
		return "an item of an unknown type"
	}
	return ""
}

func (g *gvdb) list(t gvdbTable, start, end uint32) bool {
	for ; start+4 <= end; start += 4 {
		if g.u32(start) >= t.nItems {
			return false
		}
	}
	return start == end
}

// isVariant tells whether bytes end as a serialised variant does: a zero byte and
// the signature of one type.
func isVariant(b []byte) bool {
	i := bytes.LastIndexByte(b, 0)
	return i >= 0 && isSignature(b[i+1:])
}

// isSignature looks at the letters of a GVariant type and its brackets, which have to match.
func isSignature(s []byte) bool {
	var open []byte
	for _, c := range s {
		switch {
		case c == '(':
			open = append(open, ')')
		case c == '{':
			open = append(open, '}')
		case c == ')' || c == '}':
			if len(open) == 0 || open[len(open)-1] != c {
				return false
			}
			open = open[:len(open)-1]
		case bytes.IndexByte([]byte("bynqiuxthdsogvam"), c) < 0:
			return false
		}
	}
	return len(s) > 0 && len(open) == 0
}
