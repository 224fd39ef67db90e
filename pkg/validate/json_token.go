package validate

import (
	"errors"
	"io"
)

// bom is the byte order mark that some editors put before UTF-8.
const bom = "\xef\xbb\xbf"

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *jsonScanner) read() (byte, error) {
	c, err := s.r.ReadByte()
	if err != nil {
		return 0, err
	}
	s.offset++
	if c == '\n' {
		s.line++
	}
	return c, nil
}

// peek gives the next byte without taking it; 0 at the end.
func (s *jsonScanner) peek() byte {
	b, err := s.r.Peek(1)
	if err != nil {
		return 0 // whoever takes the byte meets the error again
	}
	return b[0]
}

// token gives the next byte that is neither space nor comment.
func (s *jsonScanner) token() (byte, error) {
	for {
		c, err := s.read()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		case '/':
			if err := s.comment(); err != nil {
				return 0, err
			}
		default:
			return c, nil
		}
	}
}

func (s *jsonScanner) comment() error {
	switch kind, err := s.read(); {
	case err == nil && kind == '/':
		return s.lineComment()
	case err == nil && kind == '*':
		return s.blockComment()
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	return s.wrong("a slash that begins no comment")
}

func (s *jsonScanner) lineComment() error {
	for {
		if c, err := s.read(); err != nil || c == '\n' {
			return err
		}
	}
}

func (s *jsonScanner) blockComment() error {
	for before := byte(0); ; {
		c, err := s.read()
		if errors.Is(err, io.EOF) {
			return s.wrong("a comment that does not end")
		}
		if err != nil || before == '*' && c == '/' {
			return err
		}
		before = c
	}
}

// quoted reads a string after its opening quote.
func (s *jsonScanner) quoted() error {
	for {
		c, err := s.read()
		switch {
		case errors.Is(err, io.EOF):
			return s.wrong("it ends in a string")
		case err != nil:
			return err
		case c == '"':
			return nil
		case c < ' ':
			return s.wrong("a string that does not end, or a control character in it")
		case c == '\\':
			err = s.escape()
		}
		if err != nil {
			return err
		}
	}
}

func (s *jsonScanner) escape() error {
	c, err := s.read()
	if err != nil {
		return s.atEnd(err)
	}
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		return s.hex4()
	}
	return s.wrong("an escape that JSON does not have")
}

func (s *jsonScanner) hex4() error {
	for range 4 {
		c, err := s.read()
		if err != nil {
			return s.atEnd(err)
		}
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return s.wrong("a \\u escape without its four digits")
		}
	}
	return nil
}

func (s *jsonScanner) word(rest string) error {
	for i := range len(rest) {
		c, err := s.read()
		if err != nil {
			return s.atEnd(err)
		}
		if c != rest[i] {
			return s.wrong("no value where one has to be")
		}
	}
	return nil
}

// number reads a number after its first byte.
func (s *jsonScanner) number(first byte) error {
	if first == '-' {
		c, err := s.read()
		if err != nil {
			return s.atEnd(err)
		}
		if c == 'I' {
			return s.word("nfinity")
		}
		if first = c; !isDigit(c) {
			return s.wrong("a minus sign without a number")
		}
	}
	if first != '0' {
		s.digits()
	}
	if s.peek() == '.' {
		_, _ = s.read()
		if s.digits() == 0 {
			return s.wrong("a number that ends with its point")
		}
	}
	return s.exponent()
}

func (s *jsonScanner) exponent() error {
	if s.peek()|0x20 != 'e' {
		return nil
	}
	_, _ = s.read()
	if c := s.peek(); c == '+' || c == '-' {
		_, _ = s.read()
	}
	if s.digits() == 0 {
		return s.wrong("a number without its exponent")
	}
	return nil
}

func (s *jsonScanner) digits() (n int) {
	for ; isDigit(s.peek()); n++ {
		_, _ = s.read()
	}
	return n
}

// atEnd words an end that came inside a value.
func (s *jsonScanner) atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return s.wrong("it ends in the middle of a value")
	}
	return err
}
