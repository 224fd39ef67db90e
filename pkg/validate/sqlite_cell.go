package validate

import (
	"encoding/binary"
	"slices"
)

// The types of B-tree pages.
const (
	sqliteIndexInterior = 2
	sqliteTableInterior = 5
	sqliteIndexLeaf     = 10
	sqliteTableLeaf     = 13
)

// sqlitePage is a B-tree page (Database File Format, 1.6).
type sqlitePage struct {
	number  uint32
	b       []byte // the usable part
	head    int    // where its header begins: behind that of the file on the first page
	kind    byte
	cells   int
	content int // where the cells begin
}

// sqliteCell is one cell: a row, a key, or a pointer to a child page with its key.
type sqliteCell struct {
	length   int // in the page
	child    uint32
	rowid    int64
	size     uint64 // of the row, with its overflow
	local    []byte // its part in the page
	overflow uint32 // the first page of the rest
}

func (p *sqlitePage) leaf() bool { return p.kind == sqliteIndexLeaf || p.kind == sqliteTableLeaf }

func (p *sqlitePage) index() bool {
	return p.kind == sqliteIndexLeaf || p.kind == sqliteIndexInterior
}

func (p *sqlitePage) u16(off int) int { return int(binary.BigEndian.Uint16(p.b[off:])) }

// pointers is where the offsets of the cells begin.
func (p *sqlitePage) pointers() int {
	if p.leaf() {
		return p.head + 8
	}
	return p.head + 12
}

// rightmost is the child behind the last cell.
func (p *sqlitePage) rightmost() uint32 { return binary.BigEndian.Uint32(p.b[p.head+8:]) }

// header reads the page's own header and gives what is wrong with it.
func (p *sqlitePage) header() string {
	p.kind = p.b[p.head]
	switch p.kind {
	case sqliteIndexInterior, sqliteTableInterior, sqliteIndexLeaf, sqliteTableLeaf:
	default:
		return "no B-tree page where one has to be"
	}
	p.cells = p.u16(p.head + 3)
	if p.content = p.u16(p.head + 5); p.content == 0 {
		p.content = 65536
	}
	if p.pointers()+2*p.cells > p.content || p.content > len(p.b) {
		return "its cells do not fit the page"
	}
	return ""
}

// cell reads cell i; what is wrong with it otherwise.
func (p *sqlitePage) cell(i int) (sqliteCell, string) {
	at := p.u16(p.pointers() + 2*i)
	if at < p.content || at > len(p.b)-4 {
		return sqliteCell{}, "a cell outside its place"
	}
	c, ok := p.parse(p.b[at:])
	if !ok || at+c.length > len(p.b) {
		return c, "a cell that is not whole"
	}
	return c, ""
}

func (p *sqlitePage) parse(b []byte) (c sqliteCell, ok bool) {
	n := 0
	if !p.leaf() {
		c.child, n = binary.BigEndian.Uint32(b), 4
	}
	if p.kind != sqliteTableInterior {
		size, m := sqliteVarint(b[n:])
		c.size, n, ok = size, n+m, m > 0
		if !ok {
			return c, false
		}
	}
	if !p.index() {
		rowid, m := sqliteVarint(b[n:])
		c.rowid, n = int64(rowid), n+m
		if m == 0 {
			return c, false
		}
	}
	if p.kind == sqliteTableInterior {
		c.length = n
		return c, true
	}
	return c, p.fill(&c, b, n)
}

// fill takes the part of a row that lies in the page, which begins at n of its cell.
func (p *sqlitePage) fill(c *sqliteCell, b []byte, n int) bool {
	local := p.localSize(c.size)
	c.length = n + local
	if uint64(local) < c.size {
		c.length += 4
	}
	if c.length > len(b) {
		return false
	}
	c.local = b[n : n+local]
	if uint64(local) < c.size {
		c.overflow = binary.BigEndian.Uint32(b[n+local:])
	}
	c.length = max(4, c.length)
	return true
}

// localSize is how much of a row of that size lies in its page.
func (p *sqlitePage) localSize(size uint64) int {
	usable := uint64(len(p.b))
	most, least := (usable-12)*64/255-23, (usable-12)*32/255-23
	if !p.index() {
		most = usable - 35
	}
	if size <= most {
		return int(size)
	}
	if local := least + (size-least)%(usable-4); local <= most {
		return int(local)
	}
	return int(least)
}

// layout checks that cells and free blocks fill the page, but for the bytes that
// the header counts as lost between them.
func (p *sqlitePage) layout(spans []uint32) (_ []uint32, what string) {
	spans = spans[:0]
	for i := range p.cells {
		c, what := p.cell(i)
		if what != "" {
			return spans, what
		}
		at := p.u16(p.pointers() + 2*i)
		spans = append(spans, uint32(at)<<16|uint32(at+c.length-1))
	}
	for at, least := p.u16(p.head+1), p.content; at != 0; {
		if at < least || at > len(p.b)-4 || at+p.u16(at+2) > len(p.b) || p.u16(at+2) < 4 {
			return spans, "a free block that does not fit the page"
		}
		spans = append(spans, uint32(at)<<16|uint32(at+p.u16(at+2)-1))
		at, least = p.u16(at), at+p.u16(at+2)
	}
	return spans, p.filled(spans)
}

func (p *sqlitePage) filled(spans []uint32) string {
	slices.Sort(spans)
	end, lost := p.content, 0
	for _, s := range spans {
		if int(s>>16) < end {
			return "cells that lie in each other"
		}
		lost += int(s>>16) - end
		end = int(s&0xffff) + 1
	}
	if lost += len(p.b) - end; lost != int(p.b[p.head+7]) {
		return "bytes that belong to no cell"
	}
	return ""
}

// sqliteVarint reads a number of one to nine bytes; n is 0 when it is not whole.
func sqliteVarint(b []byte) (v uint64, n int) {
	for n < min(8, len(b)) {
		c := b[n]
		n++
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, n
		}
	}
	if n < 8 || len(b) < 9 {
		return 0, 0
	}
	return v<<8 | uint64(b[8]), 9
}
