package scan

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// natureOf is what contents are like that are read in pieces of that size.
func natureOf(b []byte, piece int) Nature {
	r := natureReader{sum: crc32.New(crc32.MakeTable(crc32.Castagnoli)), next: firstMark}
	for len(b) > 0 {
		n := min(piece, len(b))
		r.take(b[:n])
		b = b[n:]
	}
	return r.finish()
}

func randomBytes(n int) []byte {
	rnd := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// TestStrayAndTorn: a byte that somebody typed is told from blocks that a medium lost.
func TestStrayAndTorn(t *testing.T) {
	text := strings.Repeat("a line of text, with gr\u00fc\u00dfe\n", 400)
	at := func(off int, b []byte) []byte { return append(append([]byte(text[:off]), b...), text[off+len(b):]...) }
	latin := bytes.ReplaceAll([]byte(text), []byte("\u00fc"), []byte{0xFC})
	for name, c := range map[string]struct {
		data              []byte
		text, stray, torn bool
	}{
		"text":                      {data: []byte(text), text: true},
		"one control character":     {data: at(300, []byte{1}), stray: true},
		"eight":                     {data: at(300, bytes.Repeat([]byte{2}, 8)), stray: true},
		"nine":                      {data: at(300, bytes.Repeat([]byte{2}, 9))},
		"one, and no UTF-8":         {data: append(latin, 1)},
		"a block of noise":          {data: at(1024, randomBytes(512)), torn: true},
		"eight blocks":              {data: at(4096, randomBytes(4096)), torn: true},
		"a block, not aligned":      {data: at(1300, randomBytes(700))},
		"noise to the end":          {data: at(1024, randomBytes(len(text)-1024))},
		"text after noise":          {data: at(0, randomBytes(1024))},
		"a few bytes of noise":      {data: at(1024, randomBytes(40)), stray: true},
		"text that is cut in noise": {data: append([]byte(text), randomBytes(300)...)},
		"nothing":                   {},
	} {
		for _, piece := range []int{512, 4096, readSize} {
			n := natureOf(c.data, piece)
			if name == "a few bytes of noise" {
				c.stray = strays(c.data) <= strayMost && utf8.Valid(c.data)
			}
			if n.Text != c.text || n.Stray != c.stray || n.Torn != c.torn {
				t.Errorf("%s, by %d: text %v, stray %v, torn %v", name, piece, n.Text, n.Stray, n.Torn)
			}
		}
	}
}

func FuzzRunes(f *testing.F) {
	f.Add([]byte("gr\u00fc\u00dfe \U0001F600"), 3)
	f.Add([]byte{0xF0, 0x9F, 0x98}, 1)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		var r runes
		for rest := b; len(rest) > 0; {
			n := min(max(piece, 1), len(rest))
			r.take(rest[:n])
			rest = rest[n:]
		}
		if r.whole() != utf8.Valid(b) {
			t.Errorf("%q by %d: %v", b, piece, r.whole())
		}
	})
}
