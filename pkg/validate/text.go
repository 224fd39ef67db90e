package validate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"unicode/utf8"
)

// text reads a file that people write, and finds the bytes that no editor writes:
// NULs anywhere, and broken UTF-8 where UTF-8 is asked for.
type text struct {
	*stream
	format Format
	utf8   bool
	begun  bool
	line   int    // lines that ended so far
	torn   []byte // the beginning of a character that the next read ends
	fault  error
}

func (f File) text(ctx context.Context, format Format) *text {
	return &text{stream: f.stream(ctx), format: format, utf8: true}
}

// Read implements io.Reader. It gives no byte of a part that holds a fault.
func (t *text) Read(p []byte) (int, error) {
	if t.fault != nil {
		return 0, t.fault
	}
	n, err := t.stream.Read(p)
	t.examine(p[:n], errors.Is(err, io.EOF))
	if t.fault != nil {
		return 0, t.fault
	}
	return n, err
}

// verdict is what a parser found. A parser stops at the first mistake, which may be
// an editor's; so it looks at the rest for what is none, which is
// the better reason.
func (t *text) verdict(found error) error {
	_, err := io.Copy(io.Discard, t)
	if t.stream.err != nil {
		return t.stream.err
	}
	if t.fault != nil {
		return t.fault
	}
	if err != nil {
		return err
	}
	return found
}

func (t *text) examine(p []byte, last bool) {
	if !t.begun && len(p) > 0 {
		t.begun = true
		if bytes.HasPrefix(p, []byte("\xff\xfe")) || bytes.HasPrefix(p, []byte("\xfe\xff")) {
			t.fault = notJudged("its text is in UTF-16")
			return
		}
	}
	if i := bytes.IndexByte(p, 0); i >= 0 {
		t.damaged(p[:i], "NUL bytes")
		return
	}
	if t.utf8 {
		t.characters(p, last)
	}
	t.line += bytes.Count(p, []byte{'\n'})
}

// characters checks the UTF-8 of a part, whose first and last character the reads
// may have cut in two.
func (t *text) characters(p []byte, last bool) {
	if len(t.torn) > 0 {
		p = append(t.torn, p...)
	}
	end := len(p)
	if !last {
		end -= unfinished(p)
	}
	if !utf8.Valid(p[:end]) {
		t.damaged(p[:firstBroken(p[:end])], "bytes that are no UTF-8")
		return
	}
	t.torn = append([]byte(nil), p[end:]...)
}

func (t *text) damaged(before []byte, what string) {
	t.fault = broken(t.format, "%s in line %d", what, t.line+bytes.Count(before, []byte{'\n'})+1)
}

// unfinished counts the bytes at the end of p that begin a character and do not end it.
func unfinished(p []byte) int {
	for n := 1; n <= min(len(p), utf8.UTFMax-1); n++ {
		if b := p[len(p)-n:]; utf8.RuneStart(b[0]) {
			if utf8.FullRune(b) {
				return 0
			}
			return n
		}
	}
	return 0
}

func firstBroken(p []byte) int {
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(p)
}
