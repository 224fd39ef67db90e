package scan

import "unicode/utf8"

const (
	// strayMost is up to how many bytes that no text has are strays in it. People and programs
	// put some there: a key's code in the settings of an editor, what separates records.
	strayMost = 8
	// noisePart is what a block is looked at by, and noiseStrays how many such bytes each part
	// of it has where it is noise, of which every tenth byte is one.
	noisePart   = gapSize / 4
	noiseStrays = 3
)

// strays counts bytes that no text has: control characters other than those that it uses. What
// lies above 0x7F may be of any encoding.
func strays(b []byte) (n int) {
	for _, c := range b {
		if c < 0x20 && (c < '\a' || c > '\r') && c != 0x1B {
			n++
		}
	}
	return n
}

// tear finds noise that fills aligned blocks, with text before and after it: what a medium
// or a file system makes of a text, and no program.
type tear struct {
	at   int // what was passed
	torn bool
}

const (
	tearStart = iota
	tearNever // does not begin as text, and is not worth the time
	tearNothing
	tearText
	tearNoise
)

// take looks at the next block; only the last one of a file may be shorter.
func (t *tear) take(block []byte) {
	switch {
	case t.at == tearNever || t.torn:
	case strays(block) == 0:
		t.torn = t.torn || t.at == tearNoise
		t.at = tearText
	case t.at == tearStart:
		t.at = tearNever
	case t.at != tearNothing && noisy(block):
		t.at = tearNoise
	default:
		t.at = tearNothing
	}
}

func noisy(block []byte) bool {
	if len(block) < gapSize {
		return false
	}
	for at := 0; at < gapSize; at += noisePart {
		if strays(block[at:at+noisePart]) < noiseStrays {
			return false
		}
	}
	return true
}

// runes tells whether contents, taken piece by piece, are UTF-8.
type runes struct {
	rest []byte // the beginning of a rune
	foul bool
}

func (r *runes) take(b []byte) {
	for len(r.rest) > 0 && len(b) > 0 && !utf8.FullRune(r.rest) {
		r.rest, b = append(r.rest, b[0]), b[1:]
	}
	if len(r.rest) > 0 && utf8.FullRune(r.rest) {
		r.foul, r.rest = r.foul || !utf8.Valid(r.rest), nil
	}
	end := len(b)
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		if at := len(b) - back; utf8.RuneStart(b[at]) {
			if !utf8.FullRune(b[at:]) {
				end, r.rest = at, append([]byte(nil), b[at:]...)
			}
			break
		}
	}
	r.foul = r.foul || !utf8.Valid(b[:end])
}

func (r *runes) whole() bool { return !r.foul && len(r.rest) == 0 }
