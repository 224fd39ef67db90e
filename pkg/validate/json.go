package validate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// jsonDepth is how deep lists and objects may lie in each other: what the parsers
// of programs bear.
const jsonDepth = 10_000

func recogniseJSON(name string, head []byte) bool {
	return hasSuffix(name, ".json", ".jsonc", ".geojson", ".ipynb", ".webmanifest", ".code-workspace") &&
		beginsJSON(head)
}

func recogniseJSONLines(name string, head []byte) bool {
	return hasSuffix(name, ".jsonl", ".ndjson") && beginsJSON(head)
}

func beginsJSON(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bom)), " \t\r\n")
	return len(head) > 0 && strings.IndexByte(`{["-0123456789tfn/`, head[0]) >= 0
}

// checkJSON looks at one value. It takes the comments and the commas before a
// closing bracket that editors keep in their settings, and the numbers that are none
// which Python writes.
func checkJSON(ctx context.Context, f File) error {
	t := f.text(ctx, "json")
	s := newJSONScanner(t)
	err := s.document()
	if errors.Is(err, io.EOF) {
		err = s.wrong("it holds nothing")
	}
	if err == nil {
		err = s.nothingElse()
	}
	return t.verdict(err)
}

// checkJSONLines looks at a sequence of values.
func checkJSONLines(ctx context.Context, f File) error {
	t := f.text(ctx, "jsonl")
	s := newJSONScanner(t)
	var err error
	for err == nil {
		err = s.document()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return t.verdict(err)
}

// jsonState is what may come next.
type jsonState int

const (
	jsonValue jsonState = iota // a value
	jsonItem                   // a member of the innermost bracket, or its end
	jsonColon                  // what stands between name and value
	jsonAfter                  // a comma, or the end of the innermost bracket
)

// jsonScanner reads JSON byte by byte, so that neither a long string nor a large
// file needs memory.
type jsonScanner struct {
	format Format
	r      *bufio.Reader
	line   int
	offset int64
	open   []byte // the brackets that are open
}

func newJSONScanner(t *text) *jsonScanner {
	s := &jsonScanner{format: t.format, r: bufio.NewReaderSize(t, 32<<10), line: 1}
	if b, err := s.r.Peek(len(bom)); err == nil && string(b) == bom {
		_, _ = s.r.Discard(len(bom)) // they were just there
	}
	return s
}

func (s *jsonScanner) wrong(reason string, args ...any) error {
	return broken(s.format, "line %d, byte %d: %s", s.line, s.offset, fmt.Sprintf(reason, args...))
}

// document reads one value. It returns io.EOF when there is none.
func (s *jsonScanner) document() error {
	s.open = s.open[:0]
	c, err := s.token()
	if err != nil {
		return err
	}
	state, err := s.step(jsonValue, c)
	for err == nil && (state != jsonAfter || len(s.open) > 0) {
		if c, err = s.token(); err == nil {
			state, err = s.step(state, c)
		}
	}
	if errors.Is(err, io.EOF) {
		return s.wrong("it ends in the middle of a value, %d brackets deep", len(s.open))
	}
	return err
}

func (s *jsonScanner) nothingElse() error {
	_, err := s.token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		err = s.wrong("something follows the end")
	}
	return err
}

func (s *jsonScanner) step(state jsonState, c byte) (jsonState, error) {
	switch state {
	case jsonColon:
		if c != ':' {
			return state, s.wrong("no colon after a name")
		}
		return jsonValue, nil
	case jsonAfter:
		if c == ',' {
			return jsonItem, nil
		}
		return jsonAfter, s.closeBracket(c)
	case jsonItem:
		return s.item(c)
	default:
		return s.value(c)
	}
}

func (s *jsonScanner) item(c byte) (jsonState, error) {
	if c == '}' || c == ']' {
		return jsonAfter, s.closeBracket(c)
	}
	if s.open[len(s.open)-1] == '[' {
		return s.value(c)
	}
	if c != '"' {
		return jsonItem, s.wrong("a name without quotes")
	}
	return jsonColon, s.quoted()
}

func (s *jsonScanner) closeBracket(c byte) error {
	opener := map[byte]byte{'}': '{', ']': '['}[c]
	if opener == 0 {
		return s.wrong("no comma between two values")
	}
	if s.open[len(s.open)-1] != opener {
		return s.wrong("a bracket that closes another kind")
	}
	s.open = s.open[:len(s.open)-1]
	return nil
}

func (s *jsonScanner) value(c byte) (jsonState, error) {
	switch {
	case c == '{' || c == '[':
		if len(s.open) == jsonDepth {
			return jsonItem, notJudged("its brackets lie more than %d deep", jsonDepth)
		}
		s.open = append(s.open, c)
		return jsonItem, nil
	case c == '"':
		return jsonAfter, s.quoted()
	case c == '-' || isDigit(c):
		return jsonAfter, s.number(c)
	}
	for _, word := range []string{"true", "false", "null", "NaN", "Infinity"} {
		if c == word[0] {
			return jsonAfter, s.word(word[1:])
		}
	}
	return jsonAfter, s.wrong("no value where one has to be")
}
