package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// print writes a command's result: v as JSON, or what human writes.
func (a *app) print(v any, human func(*printer)) error {
	if a.json {
		return a.writeJSON(v)
	}
	p := &printer{color: a.colors()}
	human(p)
	p.align()
	if _, err := io.WriteString(a.out, p.text.String()); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

// say is print for commands that change something: without --json, --quiet
// leaves the words out.
func (a *app) say(v any, human func(*printer)) error {
	if a.quiet && !a.json {
		return nil
	}
	return a.print(v, human)
}

func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

// note says something beside the result.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.err, "scrctl: "+format+"\n", args...)
	}
}

// late writes a note unless stop is called soon: nobody should wait in silence.
func (a *app) late(format string, args ...any) (stop func()) {
	timer := time.AfterFunc(patience, func() { a.note(format+" ...", args...) })
	return func() { timer.Stop() }
}

// colors tells whether results may be coloured: on a terminal only.
func (a *app) colors() bool {
	return isTerminal(a.out) && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printer lays out text for people.
type printer struct {
	text  strings.Builder
	rows  [][]string // that follow each other, not aligned yet
	color bool
}

// row adds one line of cells. Rows that follow each other are aligned.
func (p *printer) row(cells ...string) { p.rows = append(p.rows, cells) }

// line adds one line that takes no part in any alignment.
func (p *printer) line(format string, args ...any) {
	p.align()
	fmt.Fprintf(&p.text, format+"\n", args...)
}

// align writes the rows so far in columns two spaces apart.
func (p *printer) align() {
	var widths []int
	for _, cells := range p.rows {
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(c))
		}
	}
	for _, cells := range p.rows {
		for i, c := range cells {
			p.text.WriteString(c)
			if i < len(cells)-1 {
				p.text.WriteString(strings.Repeat(" ", widths[i]-width(c)+2))
			}
		}
		p.text.WriteByte('\n')
	}
	p.rows = nil
}

// The escape sequences of a terminal's colours. No other ever gets into a cell.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	reset  = "\x1b[0m"
)

// width is how many columns a cell takes.
func width(cell string) int {
	return uniseg.StringWidth(strings.NewReplacer(red, "", yellow, "", green, "", reset, "").Replace(cell))
}

func (p *printer) paint(color, text string) string {
	if !p.color {
		return text
	}
	return color + text + reset
}

func (p *printer) verdict(v string) string {
	switch v {
	case "erased", "corrupted":
		return p.paint(red, printable(v))
	case "changed", "unavailable":
		return p.paint(yellow, printable(v))
	}
	return printable(v)
}

// printable makes text from a daemon safe for a terminal and for one cell of a
// row: control characters, invisible ones that turn text around, and bytes
// that are no UTF-8 become escapes.
func printable(s string) string {
	s = userdata.Printable(busapi.RawText(s))
	if !strings.ContainsFunc(s, invisible) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if invisible(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func invisible(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) }
