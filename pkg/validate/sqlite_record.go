package validate

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
)

// sqliteValue is one column of a record. Its bytes are those in the page; whole
// tells whether that is all of them.
type sqliteValue struct {
	kind  uint64 // the serial type (Database File Format, 2.1)
	b     []byte
	whole bool
}

// sqliteWidth is how many bytes a column of a serial type takes.
func sqliteWidth(kind uint64) (n uint64, ok bool) {
	if kind >= 12 {
		return (kind - 12) / 2, true
	}
	return [12]uint64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}[kind], kind < 10
}

// sqliteRecord checks that the columns of a record make up its size. What of its
// header lies in overflow pages is not looked at.
func sqliteRecord(local []byte, size uint64) string {
	header, at := sqliteVarint(local)
	if at == 0 || header < uint64(at) || header > size {
		return "a row without a header"
	}
	if header > uint64(len(local)) {
		return ""
	}
	sum := header
	for at < int(header) {
		kind, n := sqliteVarint(local[at:header])
		width, ok := sqliteWidth(kind)
		if n == 0 || !ok || width > size {
			return "a row with a column of no known type"
		}
		at, sum = at+n, sum+width
		if sum > size {
			break
		}
	}
	if sum != size {
		return "a row whose columns do not make up its size"
	}
	return ""
}

// sqliteColumns gives the columns of a record of which local is there, up to the
// first that is not; each stops the walk by returning false.
func sqliteColumns(local []byte, each func(i int, v sqliteValue) bool) {
	header, at := sqliteVarint(local)
	if at == 0 || header > uint64(len(local)) {
		return
	}
	body := header
	for i := 0; at < int(header); i++ {
		kind, n := sqliteVarint(local[at:header])
		width, ok := sqliteWidth(kind)
		if n == 0 || !ok || body > uint64(len(local)) {
			return
		}
		end := min(body+width, uint64(len(local)))
		if width > uint64(len(local)) {
			end = uint64(len(local))
		}
		v := sqliteValue{kind, local[body:end], end-body == width}
		if !each(i, v) {
			return
		}
		at, body = at+n, body+width
		if !v.whole {
			return
		}
	}
}

// class orders values of different kinds: NULL, numbers, text, blobs.
func (v sqliteValue) class() int {
	switch {
	case v.kind == 0:
		return 0
	case v.kind < 10:
		return 1
	case v.kind%2 == 1:
		return 2
	}
	return 3
}

func (v sqliteValue) integer() (n int64, ok bool) {
	switch {
	case v.kind == 8 || v.kind == 9:
		return int64(v.kind - 8), true
	case v.kind < 1 || v.kind > 6 || !v.whole:
		return 0, false
	}
	n = int64(int8(v.b[0]))
	for _, c := range v.b[1:] {
		n = n<<8 | int64(c)
	}
	return n, true
}

func (v sqliteValue) real() float64 {
	if n, ok := v.integer(); ok {
		return float64(n)
	}
	return math.Float64frombits(binary.BigEndian.Uint64(v.b))
}

// compare orders two values by the collation BINARY. sure is false when what is in the
// pages does not tell.
func (v sqliteValue) compare(w sqliteValue) (sign int, sure bool) {
	if v.class() != w.class() {
		return cmp.Compare(v.class(), w.class()), true
	}
	switch v.class() {
	case 0:
		return 0, true
	case 1:
		return v.compareNumbers(w)
	}
	n := min(len(v.b), len(w.b))
	if sign := bytes.Compare(v.b[:n], w.b[:n]); sign != 0 {
		return sign, true
	}
	return cmp.Compare(len(v.b), len(w.b)), v.whole && w.whole
}

func (v sqliteValue) compareNumbers(w sqliteValue) (sign int, sure bool) {
	if !v.whole || !w.whole {
		return 0, false
	}
	a, aok := v.integer()
	b, bok := w.integer()
	if aok && bok {
		return cmp.Compare(a, b), true
	}
	sign = cmp.Compare(v.real(), w.real())
	return sign, sign != 0 || !aok && !bok // a real may stand for several integers
}
