package validate

import (
	"bytes"
	"context"
	"strings"
)

// contentDepth is how deep components may lie in each other: a calendar, an event, an
// alarm, and some for what extensions invent.
const contentDepth = 16

func recogniseVCard(_ string, head []byte) bool     { return beginsComponent(head, "VCARD") }
func recogniseICalendar(_ string, head []byte) bool { return beginsComponent(head, "VCALENDAR") }

func beginsComponent(head []byte, name string) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bom)), " \t\r\n")
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return strings.EqualFold(strings.TrimSpace(string(line)), "BEGIN:"+name)
}

func checkVCard(ctx context.Context, f File) error {
	return checkContentLines(ctx, f, &contentLines{format: "vcard", root: "VCARD"})
}

func checkICalendar(ctx context.Context, f File) error {
	return checkContentLines(ctx, f, &contentLines{format: "icalendar", root: "VCALENDAR"})
}

// contentLines reads the lines of RFC 5545 section 3.1 and RFC 6350 section 3.2, and what
// vCard 2.1 does otherwise. The libraries for both do not serve here: go-vcard passes
// over lines that are none, go-ical panics where a parameter ends the line and calls
// itself as deep as a file says, and both copy a folded line at each fold.
type contentLines struct {
	format   Format
	root     string
	old      bool     // version 2.1
	open     []string // the components that are open
	closed   int
	property int  // the line that the last property begins in; 0 before any
	colon    bool // it had one, maybe in a folded line
	soft     bool // its last line ends in a soft break of quoted-printable
	base64   bool // it is Base64, which 2.1 may go on with without folding
}

func checkContentLines(ctx context.Context, f File, c *contentLines) error {
	head := make([]byte, min(headSize, f.Size))
	if _, err := f.fill(head, 0); err != nil {
		return err
	}
	c.old = bytes.Contains(bytes.ToUpper(head), []byte("\nVERSION:2.1"))
	t := f.text(ctx, c.format)
	t.utf8 = !c.old // 2.1 names a character set at each property
	if err := t.eachLine(c.take); err != nil {
		return err
	}
	switch {
	case len(c.open) > 0:
		return broken(c.format, "it ends without END:%s", c.root)
	case c.closed == 0:
		return broken(c.format, "it holds nothing")
	}
	return nil
}

func (c *contentLines) take(n int, line string) error {
	if n == 1 {
		line = strings.TrimPrefix(line, bom)
	}
	switch {
	case c.soft:
		c.soft = strings.HasSuffix(line, "=")
		return nil
	case strings.TrimSpace(line) == "":
		c.base64 = false
		return nil
	case line[0] == ' ' || line[0] == '\t':
		return c.folded(n, line)
	case c.old && c.base64 && strings.Trim(line, base64Characters) == "":
		return nil
	}
	return c.begin(n, line)
}

func (c *contentLines) folded(n int, line string) error {
	if c.property == 0 {
		return broken(c.format, "line %d goes on with a line that is missing", n)
	}
	c.colon = c.colon || strings.Contains(line, ":")
	return nil
}

// begin takes the first line of a property.
func (c *contentLines) begin(n int, line string) error {
	if c.property > 0 && !c.colon {
		return broken(c.format, "the property in line %d has no value", c.property)
	}
	i := strings.IndexAny(line, ";:")
	name := line
	if i >= 0 {
		name = line[:i]
	}
	if name == "" || strings.Trim(name, sshNameCharacters+"_") != "" {
		return broken(c.format, "line %d is no property", n)
	}
	c.property, c.colon = n, strings.Contains(line, ":")
	value := strings.ToUpper(strings.TrimSpace(line[min(len(line), len(name)+1):]))
	switch strings.ToUpper(name) {
	case "BEGIN":
		return c.enter(n, value)
	case "END":
		return c.leave(n, value)
	}
	if len(c.open) == 0 {
		return broken(c.format, "the property in line %d is outside of any BEGIN and END", n)
	}
	parameters, _, _ := strings.Cut(strings.ToUpper(line), ":")
	c.soft = strings.Contains(parameters, "QUOTED-PRINTABLE") && strings.HasSuffix(line, "=")
	c.base64 = strings.Contains(parameters, "BASE64")
	return nil
}

func (c *contentLines) enter(n int, name string) error {
	switch {
	case len(c.open) == 0 && name != c.root:
		return broken(c.format, "line %d begins something else", n)
	case name == "" || len(c.open) == contentDepth:
		return broken(c.format, "the BEGIN in line %d has no name, or is too deep in others", n)
	}
	c.open = append(c.open, name)
	return nil
}

func (c *contentLines) leave(n int, name string) error {
	if len(c.open) == 0 || c.open[len(c.open)-1] != name {
		return broken(c.format, "the END in line %d does not fit the last BEGIN", n)
	}
	if c.open = c.open[:len(c.open)-1]; len(c.open) == 0 {
		c.closed++
	}
	return nil
}
