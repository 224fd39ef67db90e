package validate

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
)

// bplistMax is how large a binary property list may be: it is held in memory.
const bplistMax = 8 << 20

// bplist is a binary property list: "bplist00", the objects one after the other,
// the table of their offsets, and a trailer of 32 bytes (CFBinaryPList.c). Its
// objects are looked at one by one and never unfolded: a few of them can stand for
// a list without end.
type bplist struct {
	b           []byte
	offsetSize  int
	refSize     int
	count       uint64
	top         uint64
	tableOffset uint64
}

// checkBinaryPlist looks at the whole file. Programs turn one kind of property list
// into the other as they please, so it takes one in XML too.
func checkBinaryPlist(ctx context.Context, f File) error {
	b, err := f.whole(bplistMax)
	if err != nil {
		return err
	}
	if len(b) > 8 && recogniseXMLPlist("", b[:min(len(b), headSize)]) {
		return checkXMLPlist(ctx, f)
	}
	if len(b) < 8+1+1+32 || string(b[:8]) != "bplist00" {
		return broken("bplist", "its beginning is not that of a property list, or it is too short")
	}
	p := bplist{b: b}
	if !p.trailer(b[len(b)-32:]) {
		return broken("bplist", "the trailer at its end does not fit the file")
	}
	return p.objects(ctx)
}

func (p *bplist) trailer(t []byte) bool {
	p.offsetSize, p.refSize = int(t[6]), int(t[7])
	p.count = binary.BigEndian.Uint64(t[8:])
	p.top = binary.BigEndian.Uint64(t[16:])
	p.tableOffset = binary.BigEndian.Uint64(t[24:])
	size := uint64(len(p.b))
	return p.offsetSize >= 1 && p.offsetSize <= 8 && p.refSize >= 1 && p.refSize <= 8 &&
		p.count >= 1 && p.count <= size && p.top < p.count &&
		p.tableOffset >= 9 && p.tableOffset <= size &&
		p.tableOffset+p.count*uint64(p.offsetSize)+32 == size
}

// objects checks that the objects lie side by side from the head to the table.
func (p *bplist) objects(ctx context.Context) error {
	starts := make([]uint64, p.count)
	for i := range starts {
		starts[i] = bigEndian(p.b[p.tableOffset+uint64(i*p.offsetSize):][:p.offsetSize])
	}
	slices.Sort(starts)
	at := uint64(8)
	for i, start := range starts {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if start != at {
			return broken("bplist", "byte %d: the objects leave a gap or lie in each other", at)
		}
		size, what := p.object(start)
		if what != "" {
			return broken("bplist", "byte %d: %s", start, what)
		}
		at += size
	}
	if at != p.tableOffset {
		return broken("bplist", "byte %d: the objects do not reach to their table", at)
	}
	return nil
}

// object gives the length of the object at an offset, or what is wrong with it.
func (p *bplist) object(start uint64) (size uint64, what string) {
	marker := p.b[start]
	kind, low := marker>>4, uint64(marker&0xf)
	switch kind {
	case 0x0:
		return 1, oneOf(marker == 0x00 || marker == 0x08 || marker == 0x09 || marker == 0x0f)
	case 0x1:
		return p.sized(start, 1+1<<low, low <= 4)
	case 0x2:
		return p.sized(start, 1+1<<low, low == 2 || low == 3)
	case 0x3:
		return p.sized(start, 9, low == 3)
	case 0x8:
		return p.sized(start, 2+low, true)
	}
	count, head, ok := p.length(start, low)
	if !ok {
		return 0, "the length of an object is not whole"
	}
	return p.collection(start, kind, head, count)
}

func oneOf(known bool) string {
	if known {
		return ""
	}
	return "an object of an unknown kind"
}

func (p *bplist) sized(start, size uint64, known bool) (uint64, string) {
	if known && start+size > p.tableOffset {
		return 0, "an object that reaches beyond its place"
	}
	return size, oneOf(known)
}

// length reads how many parts an object has; head is the length of its marker with that.
func (p *bplist) length(start, low uint64) (count, head uint64, ok bool) {
	if low != 0xf {
		return low, 1, true
	}
	if start+2 > p.tableOffset || p.b[start+1]>>4 != 0x1 || p.b[start+1]&0xf > 3 {
		return 0, 0, false
	}
	n := uint64(1) << (p.b[start+1] & 0xf)
	if start+2+n > p.tableOffset {
		return 0, 0, false
	}
	return bigEndian(p.b[start+2:][:n]), 2 + n, true
}

func (p *bplist) collection(start uint64, kind byte, head, count uint64) (size uint64, what string) {
	unit := map[byte]uint64{
		0x4: 1, 0x5: 1, 0x6: 2, 0x7: 1,
		0xa: uint64(p.refSize), 0xb: uint64(p.refSize), 0xc: uint64(p.refSize), 0xd: 2 * uint64(p.refSize),
	}[kind]
	if unit == 0 {
		return 0, oneOf(false)
	}
	if count > math.MaxUint32 || start+head+count*unit > p.tableOffset {
		return 0, "an object that reaches beyond its place"
	}
	body := p.b[start+head:][:count*unit]
	switch {
	case kind == 0x5 && slices.ContainsFunc(body, func(c byte) bool { return c >= 0x80 }):
		return 0, "a string of ASCII with other bytes"
	case kind >= 0xa && !p.refer(body):
		return 0, "a collection of objects that do not exist"
	case kind == 0xd && !p.keys(body[:len(body)/2]):
		return 0, "a dictionary with a key that is no string"
	}
	return head + count*unit, ""
}

func (p *bplist) refer(refs []byte) bool {
	for ; len(refs) > 0; refs = refs[p.refSize:] {
		if bigEndian(refs[:p.refSize]) >= p.count {
			return false
		}
	}
	return true
}

func (p *bplist) keys(refs []byte) bool {
	for ; len(refs) > 0; refs = refs[p.refSize:] {
		i := bigEndian(refs[:p.refSize])
		off := bigEndian(p.b[p.tableOffset+i*uint64(p.offsetSize):][:p.offsetSize])
		if off >= p.tableOffset || p.b[off]>>4 < 0x5 || p.b[off]>>4 > 0x7 {
			return false
		}
	}
	return true
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
