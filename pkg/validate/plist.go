package validate

import (
	"bytes"
	"context"
	"encoding/xml"
	"slices"
)

func recogniseXMLPlist(name string, head []byte) bool {
	return recogniseXML(name, head) && bytes.Contains(head, []byte("<plist"))
}

// checkXMLPlist looks at a property list by Apple's PropertyList-1.0 DTD. Programs
// turn one kind into the other as they please, so it takes the binary one too.
func checkXMLPlist(ctx context.Context, f File) error {
	head, ok, err := f.bytesAt(0, 8)
	if err != nil {
		return err
	}
	if ok && string(head) == "bplist00" {
		return checkBinaryPlist(ctx, f)
	}
	p := &plistWalk{}
	return walkXML(ctx, f, "plist", p.look)
}

// plistWalk keeps what each open element is and how many it holds.
type plistWalk struct {
	open []plistElement
}

type plistElement struct {
	name  string
	items int
}

func (p *plistWalk) look(t xml.Token, _ int) string {
	switch t := t.(type) {
	case xml.StartElement:
		return p.start(t.Name.Local)
	case xml.EndElement:
		return p.end()
	}
	return ""
}

func (p *plistWalk) start(name string) string {
	what := ""
	if len(p.open) == 0 {
		if name != "plist" {
			what = "the root element is no plist"
		}
	} else {
		what = p.inside(&p.open[len(p.open)-1], name)
	}
	p.open = append(p.open, plistElement{name: name})
	return what
}

func (p *plistWalk) inside(around *plistElement, name string) string {
	around.items++
	values := []string{"dict", "array", "string", "data", "date", "integer", "real", "true", "false"}
	wantKey := around.name == "dict" && around.items%2 == 1
	switch {
	case wantKey != (name == "key"):
		return "keys and values of a dictionary do not alternate"
	case !wantKey && !slices.Contains(values, name):
		return "an element that property lists do not have"
	case around.name != "dict" && around.name != "array" && around.name != "plist":
		return "an element inside a simple value"
	case around.name == "plist" && around.items > 1:
		return "a second value"
	}
	return ""
}

func (p *plistWalk) end() string {
	last := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	switch {
	case last.name == "dict" && last.items%2 == 1:
		return "a key without a value"
	case last.name == "plist" && last.items == 0:
		return "it holds no value"
	}
	return ""
}
