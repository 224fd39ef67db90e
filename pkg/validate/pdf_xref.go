package validate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
)

const (
	pdfTrailerMax  = 64 << 10
	pdfSectionsMax = 4096
)

// section reads a cross-reference table or stream. It gives what looks at the objects
// that the section names.
func (p *pdf) section(place int64) (objects func() error, err error) {
	if len(p.sections) > pdfSectionsMax {
		return nil, notJudged("it was changed more than %d times", pdfSectionsMax)
	}
	at := p.base + place
	b, err := p.upTo(at, pdfWindow)
	if err != nil {
		return nil, err
	}
	space := len(b) - len(bytes.TrimLeft(b, " \t\r\n\f\x00"))
	if bytes.HasPrefix(b[space:], []byte("xref")) {
		return p.table(at + int64(space))
	}
	return p.xrefStream(at, b)
}

// table reads "xref", the entries, and the trailer behind them.
func (p *pdf) table(at int64) (objects func() error, err error) {
	t := &pdfTable{p: p, at: at + 4}
	end, err := t.walk(func(int64) error { return nil })
	if err != nil {
		return nil, err
	}
	trailer, err := p.upTo(end, pdfTrailerMax)
	if err != nil {
		return nil, err
	}
	trailer, _, _ = bytes.Cut(trailer, []byte("startxref"))
	p.follow(trailer)
	return func() error {
		_, err := t.walk(p.object)
		return err
	}, nil
}

// follow takes from a trailer what the document is and which section came before.
func (p *pdf) follow(trailer []byte) {
	p.encrypted = p.encrypted || regexp.MustCompile(`/Encrypt\s`).Match(trailer)
	p.root = p.root || regexp.MustCompile(`/Root\s`).Match(trailer)
	for _, name := range []string{"Prev", "XRefStm"} {
		if place := newPDFNumber(name).in(trailer); place > 0 {
			p.todo = append(p.todo, place)
		}
	}
}

// pdfTable is a cross-reference table: subsections with their first number and their
// count, and an entry of 20 bytes for each object.
type pdfTable struct {
	p  *pdf
	at int64
}

// walk calls each with the place of every object, and gives where the trailer begins.
func (t *pdfTable) walk(each func(place int64) error) (end int64, err error) {
	s := &stream{ctx: t.p.ctx, r: io.NewSectionReader(t.p.f.Data, t.at, max(0, t.p.f.Size-t.at))}
	c := &countedReader{r: s}
	r := bufio.NewReaderSize(c, 4096)
	wrong := func() error {
		return s.verdict(broken("pdf", "byte %d: the table of its objects is broken", t.at+c.n-int64(r.Buffered())))
	}
	for {
		word, err := pdfWord(r)
		if err != nil {
			return 0, wrong()
		}
		if word == "trailer" {
			return t.at + c.n - int64(r.Buffered()), nil
		}
		count, err := pdfWord(r)
		n, e := strconv.ParseUint(count, 10, 32)
		if _, e2 := strconv.ParseUint(word, 10, 32); err != nil || e != nil || e2 != nil {
			return 0, wrong()
		}
		for range n {
			place, used, ok := pdfEntry(r)
			if !ok {
				return 0, wrong()
			}
			if used && place != 0 {
				if err := each(place); err != nil {
					return 0, err
				}
			}
		}
	}
}

// countedReader counts the bytes that were read through it.
type countedReader struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// pdfEntry reads place, generation and n or f of one object.
func pdfEntry(r *bufio.Reader) (place int64, used, ok bool) {
	var words [3]string
	for i := range words {
		var err error
		if words[i], err = pdfWord(r); err != nil {
			return 0, false, false
		}
	}
	place, err := strconv.ParseInt(words[0], 10, 64)
	_, err2 := strconv.ParseUint(words[1], 10, 32)
	return place, words[2] == "n", err == nil && err2 == nil && (words[2] == "n" || words[2] == "f")
}

// pdfWord reads what is between spaces, of at most 20 bytes.
func pdfWord(r *bufio.Reader) (string, error) {
	var word []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		space := c == ' ' || c >= '\t' && c <= '\r'
		switch {
		case space && len(word) > 0:
			return string(word), nil
		case space:
		case len(word) == 20:
			return "", errors.New("no word of a table")
		default:
			if c == '<' && string(word) == "trailer" {
				return string(word), r.UnreadByte()
			}
			word = append(word, c)
		}
	}
}
