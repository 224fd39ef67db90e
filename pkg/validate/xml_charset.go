package validate

import (
	"bytes"
	"io"
	"regexp"
	"strings"
)

// xmlEncoding is what the declaration of a document says of its characters.
func xmlEncoding(head []byte) string {
	declaration, _, _ := bytes.Cut(head, []byte("?>"))
	m := regexp.MustCompile(`^(?:\xef\xbb\xbf)?<\?xml\s[^<>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)`).FindSubmatch(declaration)
	if m == nil {
		return "utf-8"
	}
	return strings.ToLower(string(m[1]))
}

func xmlUTF8(head []byte) bool { return xmlEncoding(head) == "utf-8" }

// charset gives the reader for characters that are no UTF-8. Of those with one byte
// each and ASCII among them any will do: only ASCII matters to the structure.
func charset(label string, in io.Reader) (io.Reader, error) {
	label = strings.ToLower(label)
	if label == "us-ascii" || strings.HasPrefix(label, "iso-8859-") || strings.HasPrefix(label, "windows-125") {
		return &oneByteReader{in: in}, nil
	}
	return nil, notJudged("its characters are of a set that is not known here")
}

// oneByteReader turns bytes into UTF-8 as ISO 8859-1 has them.
type oneByteReader struct {
	in   io.Reader
	left []byte
}

// Read implements io.Reader.
func (o *oneByteReader) Read(p []byte) (int, error) {
	if len(o.left) == 0 {
		var b [4096]byte
		n, err := o.in.Read(b[:])
		if n == 0 {
			return 0, err
		}
		for _, c := range b[:n] {
			o.left = append(o.left, string(rune(c))...)
		}
	}
	n := copy(p, o.left)
	o.left = o.left[n:]
	return n, nil
}
