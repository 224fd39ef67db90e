package validate

import "fmt"

// berDepth is how deep elements may lie in each other.
const berDepth = 64

// berMany is how many elements one holds at most: far more than any store of keys.
const berMany = 10_000

// berElement is one element of BER: X.690 section 8.
type berElement struct {
	class       byte // 0 universal, 2 context-specific
	constructed bool
	tag         uint32
	contents    []byte // without the end marker of an indefinite length
}

// berHeader is what stands before an element's contents.
type berHeader struct {
	class       byte
	constructed bool
	tag         uint32
	size        int // of the header itself
	length      int // of the contents; -1 when it is indefinite
}

func readBERHeader(b []byte) (h berHeader, ok bool) {
	if len(b) < 2 {
		return h, false
	}
	h.class, h.constructed, h.tag, h.size = b[0]>>6, b[0]&0x20 != 0, uint32(b[0]&0x1f), 1
	if h.tag == 0x1f && !h.longTag(b) {
		return h, false
	}
	return h, h.readLength(b)
}

// longTag reads a tag of more than one byte: at most four times seven bits.
func (h *berHeader) longTag(b []byte) bool {
	h.tag = 0
	for range 4 {
		if h.size >= len(b) {
			return false
		}
		c := b[h.size]
		h.size++
		h.tag = h.tag<<7 | uint32(c&0x7f)
		if c&0x80 == 0 {
			return true
		}
	}
	return false
}

func (h *berHeader) readLength(b []byte) bool {
	if h.size >= len(b) {
		return false
	}
	c := b[h.size]
	h.size++
	if c < 0x80 {
		h.length = int(c)
		return true
	}
	if c == 0x80 {
		h.length = -1
		return h.constructed
	}
	n := int(c & 0x7f)
	if n > 4 || h.size+n > len(b) {
		return false
	}
	length := uint64(0)
	for _, c := range b[h.size : h.size+n] {
		length = length<<8 | uint64(c)
	}
	h.size += n
	if length > MaxSize {
		return false
	}
	h.length = int(length)
	return true
}

// endOfContents tells whether the header is the marker that ends an indefinite length.
func (h berHeader) endOfContents() bool {
	return h.class == 0 && h.tag == 0 && !h.constructed && h.length == 0
}

// berWalk goes through the first element of b and all that lie in it, once, and gives its
// length; when it is broken, ok is false and at is where.
func berWalk(b []byte) (at int, ok bool) {
	var ends []int // of the elements that are open; -1 for an indefinite length
	for {
		for len(ends) > 0 && ends[len(ends)-1] == at {
			ends = ends[:len(ends)-1]
		}
		if len(ends) == 0 && at > 0 {
			return at, true
		}
		limit := berLimit(ends, len(b))
		h, ok := readBERHeader(b[at:limit])
		if !ok || h.length > limit-at-h.size {
			return at, false
		}
		start := at
		at += h.size
		switch {
		case h.endOfContents():
			if len(ends) == 0 || ends[len(ends)-1] != -1 {
				return start, false
			}
			if ends = ends[:len(ends)-1]; len(ends) == 0 {
				return at, true
			}
		case h.constructed:
			if len(ends) == berDepth {
				return start, false
			}
			end := -1
			if h.length >= 0 {
				end = at + h.length
			}
			ends = append(ends, end)
		default:
			at += h.length
		}
	}
}

// berLimit is where the innermost open element of a known length ends.
func berLimit(ends []int, size int) int {
	for i := len(ends) - 1; i >= 0; i-- {
		if ends[i] >= 0 {
			return ends[i]
		}
	}
	return size
}

// berLength gives the length of the first element with all that lies in it; 0 when it is
// broken.
func berLength(b []byte) int {
	if n, ok := berWalk(b); ok {
		return n
	}
	return 0
}

// berFault tells what is wrong with bytes that are to be one element; "" when nothing is.
func berFault(b []byte) string {
	if len(b) == 0 {
		return "is empty"
	}
	at, ok := berWalk(b)
	if !ok {
		return fmt.Sprintf("is broken or cut short: the element at byte %d of %d does not fit", at, len(b))
	}
	if at < len(b) {
		return fmt.Sprintf("is followed by %d bytes", len(b)-at)
	}
	return ""
}

// berNext gives the first element of b, and what follows it.
func berNext(b []byte) (e berElement, rest []byte, ok bool) {
	n := berLength(b)
	if n == 0 {
		return e, nil, false
	}
	h, _ := readBERHeader(b[:n])
	e = berElement{h.class, h.constructed, h.tag, b[h.size:n]}
	if h.length < 0 {
		e.contents = e.contents[:len(e.contents)-2]
	}
	return e, b[n:], true
}

// berAll gives all elements that b holds.
func berAll(b []byte) (all []berElement, ok bool) {
	for len(b) > 0 {
		e, rest, ok := berNext(b)
		if !ok || len(all) == berMany {
			return nil, false
		}
		all, b = append(all, e), rest
	}
	return all, true
}

// children gives the elements of one of the tag that is asked for.
func (e berElement) children(class byte, tag uint32) ([]berElement, bool) {
	if e.class != class || e.tag != tag || !e.constructed {
		return nil, false
	}
	return berAll(e.contents)
}

// octets gives the bytes of an OCTET STRING, whose parts BER allows to come one by one.
func (e berElement) octets() ([]byte, bool) {
	if !e.constructed {
		return e.contents, true
	}
	parts, ok := berAll(e.contents)
	var b []byte
	for _, p := range parts {
		ok = ok && p.class == 0 && p.tag == 4 && !p.constructed
		b = append(b, p.contents...)
	}
	return b, ok
}
