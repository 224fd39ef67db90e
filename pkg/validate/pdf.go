package validate

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"regexp"
	"strconv"
)

const (
	pdfJunk   = 1 << 10 // bytes that readers bear before the head and behind the end
	pdfWindow = 4 << 10 // bytes of an object that are looked at for what it is
)

func recognisePDF(name string, head []byte) bool {
	i := bytes.Index(head[:min(len(head), pdfJunk)], []byte("%PDF-"))
	return i == 0 || i > 0 && hasSuffix(name, ".pdf")
}

// pdf is a document (ISO 32000). The end names the place of a cross-reference table
// or stream, which names the places of all objects and of the table before it.
type pdf struct {
	ctx       context.Context
	f         File
	syntax    pdfSyntax
	base      int64          // where the head begins; places count from there
	sections  map[int64]bool // the tables seen, by place
	todo      []int64
	objects   int64 // looked at
	unpacked  int64
	encrypted bool
	root      bool
	window    []byte // of the object being looked at
}

// pdfSyntax is what is asked of each object.
type pdfSyntax struct {
	object, stream, endstream, flate *regexp.Regexp
	length                           pdfNumber
}

func newPDFSyntax() pdfSyntax {
	return pdfSyntax{
		object:    regexp.MustCompile(`^\s*\d+\s+\d+\s+obj`),
		stream:    regexp.MustCompile(`>>\s*stream(\r\n|\n|\r)`),
		endstream: regexp.MustCompile(`^\s*endstream`),
		flate:     regexp.MustCompile(`/Filter\s*(\[\s*)?/FlateDecode\b`),
		length:    newPDFNumber("Length"),
	}
}

// pdfNumber finds an entry of a dictionary that is a number in itself.
type pdfNumber struct{ *regexp.Regexp }

func newPDFNumber(name string) pdfNumber {
	return pdfNumber{regexp.MustCompile(`/` + name + `\s+(\d{1,10})(\s+\d+\s+R\b)?`)}
}

// in gives the number; -1 when it is not there, or a reference to an object.
func (n pdfNumber) in(dictionary []byte) int64 {
	m := n.FindSubmatch(dictionary)
	if m == nil || len(m[2]) > 0 {
		return -1
	}
	i, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		return -1
	}
	return i
}

// checkPDF looks at every object that the document names. Compressed streams have a
// checksum of their own, but where the document is encrypted.
func checkPDF(ctx context.Context, f File) error {
	p := &pdf{ctx: ctx, f: f, syntax: newPDFSyntax(), sections: map[int64]bool{}, window: make([]byte, pdfWindow)}
	start, err := p.ends()
	if err != nil {
		return err
	}
	p.todo = []int64{start}
	var places []func() error
	for len(p.todo) > 0 {
		at := p.todo[0]
		p.todo = p.todo[1:]
		if p.sections[at] {
			continue
		}
		p.sections[at] = true
		objects, err := p.section(at)
		if err != nil {
			return err
		}
		places = append(places, objects)
	}
	if !p.root {
		return broken("pdf", "its trailer names no catalogue")
	}
	for _, objects := range places { // whether it is encrypted any section may say
		if err := objects(); err != nil {
			return err
		}
	}
	return nil
}

// ends looks at both ends, and gives the place of the newest section.
func (p *pdf) ends() (int64, error) {
	head, err := p.upTo(0, pdfJunk+5)
	if err != nil {
		return 0, err
	}
	i := bytes.Index(head, []byte("%PDF-"))
	if i < 0 {
		return 0, broken("pdf", "its first bytes are not those of a document")
	}
	p.base = int64(i)
	tail, err := p.upTo(max(0, p.f.Size-4*pdfJunk), 4*pdfJunk)
	if err != nil {
		return 0, err
	}
	end := bytes.LastIndex(tail, []byte("%%EOF"))
	if end < 0 || len(tail)-end-5 > pdfJunk {
		return 0, broken("pdf", "it is cut short: its end mark is not there")
	}
	if regexp.MustCompile(`\d\s+\d+\s+obj\b`).Match(tail[end:]) {
		return 0, broken("pdf", "it is cut short: its last change is not whole")
	}
	m := regexp.MustCompile(`startxref\s+(\d{1,10})\s*$`).FindSubmatch(tail[:end])
	if m == nil {
		return 0, broken("pdf", "before its end mark nothing says where its objects are")
	}
	return strconv.ParseInt(string(m[1]), 10, 64)
}

// upTo reads n bytes at an offset, or those that are there.
func (p *pdf) upTo(at int64, n int) ([]byte, error) {
	if err := p.ctx.Err(); err != nil {
		return nil, err
	}
	if at < 0 || at >= p.f.Size {
		return nil, nil
	}
	return p.into(make([]byte, min(int64(n), p.f.Size-at)), at)
}

// into fills b from an offset, or the part of it that is there.
func (p *pdf) into(b []byte, at int64) ([]byte, error) {
	m, err := p.f.Data.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:m], err
}

// object looks at the object at a place: that one begins there, and that its
// stream, if it has one, is whole.
func (p *pdf) object(place int64) error {
	if p.objects++; p.objects > p.f.Size/8 {
		return notJudged("it names more objects than it has room for")
	}
	at := p.base + place
	if err := p.ctx.Err(); err != nil {
		return err
	}
	b, err := p.into(p.window, at)
	if err != nil {
		return err
	}
	head := p.syntax.object.FindIndex(b)
	if head == nil {
		return broken("pdf", "byte %d: no object where one has to be", at)
	}
	b = b[head[1]:]
	if end := bytes.Index(b, []byte("endobj")); end >= 0 {
		b = b[:end]
	}
	m := p.syntax.stream.FindIndex(b)
	if m == nil {
		return nil
	}
	return p.stream(b[:m[0]], at+int64(head[1]+m[1]), at)
}

// stream looks at the data of a stream that begin at an offset, by its dictionary.
func (p *pdf) stream(dictionary []byte, at, object int64) error {
	length := p.syntax.length.in(dictionary)
	if length >= 0 {
		end, err := p.upTo(at+length, 64)
		if err != nil {
			return err
		}
		if !p.syntax.endstream.Match(end) {
			return broken("pdf", "byte %d: a stream does not end where it has to", object)
		}
	}
	if p.encrypted || length == 0 || !p.syntax.flate.Match(dictionary) {
		return nil
	}
	return p.inflate(io.NewSectionReader(p.f.Data, at, max(0, p.f.Size-at)), object, io.Discard)
}

// inflate unpacks a stream, whose end has its checksum.
func (p *pdf) inflate(packed io.Reader, object int64, to io.Writer) error {
	s := &stream{ctx: p.ctx, r: packed}
	z, err := zlib.NewReader(s)
	if err == nil {
		var n int64
		n, err = io.Copy(to, io.LimitReader(z, inflatedMax-p.unpacked))
		if p.unpacked += n; p.unpacked >= inflatedMax {
			return notJudged("it unpacks to more than %d bytes", inflatedMax)
		}
	}
	if err != nil {
		return s.verdict(broken("pdf", "byte %d: the compressed data of a stream are broken", object))
	}
	return nil
}
