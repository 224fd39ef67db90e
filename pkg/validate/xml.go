package validate

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

const (
	xmlDepth    = 10_000  // elements in each other
	xmlTokenMax = 2 << 20 // bytes between two angle brackets
	xmlEquals   = 10_000  // equals signs there, one for each attribute
)

func recogniseXML(name string, head []byte) bool {
	head = bytes.TrimPrefix(head, []byte(bom))
	if bytes.HasPrefix(head, []byte("<?xml")) {
		return true
	}
	return hasSuffix(name, ".xml", ".svg") && bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("<"))
}

// checkXML tells whether the file is well formed: one root, every element closed.
func checkXML(ctx context.Context, f File) error {
	return walkXML(ctx, f, "xml", func(xml.Token, int) string { return "" })
}

// xmlWalk reads the tokens of a document.
type xmlWalk struct {
	*text
	d        *xml.Decoder
	depth    int
	roots    int
	external bool  // the document type has a part elsewhere
	taken    int64 // bytes that the decoder took
	limit    int64 // how many it may
	equals   int   // since the last token
	long     bool  // it wanted more
}

// walkXML checks a document. For each token look gives what is wrong with it, ""
// when nothing is; depth counts the elements around it, an element itself included.
func walkXML(ctx context.Context, f File, format Format, look func(t xml.Token, depth int) string) error {
	head := make([]byte, min(f.Size, headSize))
	if _, err := f.fill(head, 0); err != nil {
		return err
	}
	w := &xmlWalk{text: f.text(ctx, format), limit: xmlTokenMax}
	w.utf8 = xmlUTF8(head)
	w.d = xml.NewDecoder(w)
	w.d.CharsetReader = charset
	w.d.Entity = map[string]string{}
	return w.verdict(w.tokens(look))
}

// Read stops a decoder that would keep too much in memory.
func (w *xmlWalk) Read(p []byte) (int, error) {
	if w.taken >= w.limit || w.equals > xmlEquals {
		w.long = true
		return 0, io.ErrShortBuffer
	}
	n, err := w.text.Read(p)
	w.taken += int64(n)
	w.equals += bytes.Count(p[:n], []byte{'='})
	return n, err
}

func (w *xmlWalk) tokens(look func(xml.Token, int) string) error {
	for {
		t, err := w.d.Token()
		if errors.Is(err, io.EOF) {
			return w.atEnd()
		}
		if err != nil {
			return w.fault(err)
		}
		w.limit, w.equals = w.d.InputOffset()+xmlTokenMax, 0
		if err := w.token(t, look); err != nil {
			return err
		}
	}
}

func (w *xmlWalk) atEnd() error {
	if w.roots == 0 {
		return w.wrong("it has no element")
	}
	return nil
}

func (w *xmlWalk) wrong(what string) error {
	line, _ := w.d.InputPos()
	return broken(w.format, "line %d: %s", line, what)
}

func (w *xmlWalk) token(t xml.Token, look func(xml.Token, int) string) error {
	switch t := t.(type) {
	case xml.StartElement:
		if w.depth == 0 {
			w.roots++
		}
		if w.depth++; w.depth > xmlDepth {
			return notJudged("its elements lie more than %d deep", xmlDepth)
		}
	case xml.CharData:
		if w.depth == 0 && len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte(bom)))) > 0 {
			return w.wrong("text outside the root element")
		}
	case xml.Directive:
		w.directive(t)
	}
	if w.roots > 1 {
		return w.wrong("a second root element")
	}
	if what := look(t, w.depth); what != "" {
		return w.wrong(what)
	}
	if _, ok := t.(xml.EndElement); ok {
		w.depth--
	}
	return nil
}

// directive learns the entities that the document declares itself.
func (w *xmlWalk) directive(t xml.Directive) {
	if !bytes.HasPrefix(t, []byte("DOCTYPE")) {
		return
	}
	outside, _, _ := bytes.Cut(t, []byte("["))
	w.external = bytes.Contains(outside, []byte("SYSTEM")) || bytes.Contains(outside, []byte("PUBLIC")) ||
		bytes.Contains(t, []byte("<!ENTITY %"))
	for _, m := range regexp.MustCompile(`<!ENTITY\s+([^\s%]+)\s`).FindAllSubmatch(t, 1000) {
		w.d.Entity[string(m[1])] = ""
	}
}

// fault words an error of the decoder, whose own words hold names out of the file.
func (w *xmlWalk) fault(err error) error {
	var at *xml.SyntaxError
	switch {
	case w.long:
		return notJudged("it has a part that is too large to hold")
	case !errors.As(err, &at):
		return notJudged("it is in a version or in characters that are not known here")
	case strings.Contains(at.Msg, "invalid character entity") && w.external:
		return notJudged("line %d: a name that another file explains", at.Line)
	}
	return broken(w.format, "line %d: %s", at.Line, reword(at.Msg, [][2]string{
		{"unexpected EOF", "it ends before its elements do"},
		{"closed by", "an element that the end of another one closes"},
		{"unexpected end element", "the end of an element that did not begin"},
		{"invalid character entity", "a character reference that is not whole"},
		{"illegal character code", "a character that XML does not allow"},
		{"attribute", "an attribute that is not whole"},
	}, "it is not well formed"))
}
