package busapi

import (
	"strings"
	"unicode/utf8"
)

// escapeBase is where bytes that a D-Bus string cannot hold are mapped to, in a
// private use area: byte b becomes the rune escapeBase+b. Only NUL and bytes
// from 0x80 on ever need it.
const escapeBase = 0xEF00

func isEscape(r rune) bool {
	return r == escapeBase || r >= escapeBase+0x80 && r <= escapeBase+0xFF
}

// toBus makes any string fit for the bus, reversibly: fromBus(toBus(s)) == s.
// Runes that look like an escape are escaped themselves.
func toBus(s string) string {
	return escape(s, func(r rune, size int) bool {
		return r == 0 || r == utf8.RuneError && size == 1 || isEscape(r)
	})
}

// argToBus is toBus for what a person or a script gives. It leaves escapes as
// they are, so that a name copied from an answer comes back as the same bytes.
func argToBus(s string) string {
	return escape(s, func(r rune, size int) bool {
		return r == 0 || r == utf8.RuneError && size == 1
	})
}

// escapeLead is the first byte of every escape in UTF-8. A text without it, as
// nearly all are, needs no second look.
const escapeLead = 0xEE

func escape(s string, must func(r rune, size int) bool) string {
	if strings.IndexByte(s, escapeLead) < 0 && strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if must(r, size) {
			for _, c := range []byte(s[i : i+size]) {
				b.WriteRune(escapeBase + rune(c))
			}
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// fromBus turns escapes back into the bytes that they stand for.
func fromBus(s string) string {
	if strings.IndexByte(s, escapeLead) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if isEscape(r) {
			b.WriteByte(byte(r - escapeBase))
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// cut shortens s to at most n bytes without cutting a rune in two.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// RawText returns the bytes that a text from the bus stands for, such as the
// name of a file that is no UTF-8. What it returns is not fit to be printed.
func RawText(s string) string { return fromBus(s) }
