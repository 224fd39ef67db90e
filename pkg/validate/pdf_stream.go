package validate

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
)

// pdfXrefMax is how large a cross-reference stream may be when unpacked.
const pdfXrefMax = 8 << 20

// pdfXref is a cross-reference stream (ISO 32000-1, 7.5.8).
type pdfXref struct {
	widths [3]int
	b      []byte
}

// xrefStream reads a stream that stands for a table: b is its beginning.
func (p *pdf) xrefStream(at int64, b []byte) (objects func() error, err error) {
	wrong := broken("pdf", "byte %d: no table of its objects where one has to be", at)
	head := p.syntax.object.FindIndex(b)
	begin := p.syntax.stream.FindIndex(b)
	if head == nil || begin == nil || !regexp.MustCompile(`/Type\s*/XRef\b`).Match(b[:begin[0]]) {
		return nil, wrong
	}
	dictionary := b[head[1]:begin[0]]
	p.follow(dictionary)
	x := &pdfXref{}
	if !x.readWidths(dictionary) {
		return nil, wrong
	}
	if x.b, err = p.xrefBytes(dictionary, at+int64(begin[1]), at); err != nil {
		return nil, err
	}
	if !x.unpredict(dictionary) {
		return nil, wrong
	}
	return func() error { return x.walk(p.object) }, nil
}

func (x *pdfXref) readWidths(dictionary []byte) bool {
	m := regexp.MustCompile(`/W\s*\[\s*(\d)\s+(\d)\s+(\d)\s*\]`).FindSubmatch(dictionary)
	for i := range x.widths {
		if m == nil || m[i+1][0] > '8' {
			return false
		}
		x.widths[i] = int(m[i+1][0] - '0')
	}
	return x.widths[1] > 0
}

func (x *pdfXref) row() int { return x.widths[0] + x.widths[1] + x.widths[2] }

// xrefBytes reads the stream's data, which are never encrypted.
func (p *pdf) xrefBytes(dictionary []byte, at, object int64) ([]byte, error) {
	if !bytes.Contains(dictionary, []byte("/Filter")) {
		n := p.syntax.length.in(dictionary)
		if n < 0 || n > pdfXrefMax {
			return nil, notJudged("the length of the table of its objects is not known here")
		}
		return p.upTo(at, int(n))
	}
	if !p.syntax.flate.Match(dictionary) {
		return nil, notJudged("the table of its objects is packed in a way that is not known here")
	}
	to := &boundedBuffer{}
	err := p.inflate(io.NewSectionReader(p.f.Data, at, max(0, p.f.Size-at)), object, to)
	if to.full {
		return nil, notJudged("the table of its objects is larger than %d bytes", pdfXrefMax)
	}
	return to.b, err
}

// boundedBuffer keeps what is written to it, up to pdfXrefMax.
type boundedBuffer struct {
	b    []byte
	full bool
}

// Write implements io.Writer.
func (w *boundedBuffer) Write(p []byte) (int, error) {
	if w.full = len(w.b)+len(p) > pdfXrefMax; w.full {
		return 0, io.ErrShortWrite
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// unpredict undoes the PNG filters that writers put before the compression.
func (x *pdfXref) unpredict(dictionary []byte) bool {
	if newPDFNumber("Predictor").in(dictionary) < 10 {
		return len(x.b)%x.row() == 0
	}
	m := regexp.MustCompile(`/Columns\s+(\d{1,3})`).FindSubmatch(dictionary)
	if m == nil {
		return false
	}
	columns, err := strconv.Atoi(string(m[1]))
	if err != nil || columns != x.row() || len(x.b)%(columns+1) != 0 {
		return false
	}
	out, last := x.b[:0], make([]byte, columns)
	for in := x.b; len(in) > 0; in = in[columns+1:] {
		if !pngUnfilter(in[0], in[1:columns+1], last) {
			return false
		}
		copy(last, in[1:columns+1])
		out = append(out, last...)
	}
	x.b = out
	return true
}

// pngUnfilter undoes one row of the filters None, Sub and Up of PNG, with one byte a
// pixel; those that pictures need besides no writer of tables uses.
func pngUnfilter(filter byte, row, above []byte) bool {
	switch filter {
	case 0:
	case 1:
		for i := 1; i < len(row); i++ {
			row[i] += row[i-1]
		}
	case 2:
		for i := range row {
			row[i] += above[i]
		}
	default:
		return false
	}
	return true
}

// walk calls each with the place of every object that is not packed with others.
func (x *pdfXref) walk(each func(place int64) error) error {
	for b := x.b; len(b) >= x.row(); b = b[x.row():] {
		kind := uint64(1)
		if x.widths[0] > 0 {
			kind = bigEndian(b[:x.widths[0]])
		}
		place := bigEndian(b[x.widths[0]:][:x.widths[1]])
		if kind != 1 || place == 0 {
			continue
		}
		if place > MaxSize {
			place = MaxSize // nothing is there
		}
		if err := each(int64(place)); err != nil {
			return err
		}
	}
	return nil
}
