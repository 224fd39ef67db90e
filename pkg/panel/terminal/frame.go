package terminal

import (
	"strings"

	"github.com/rivo/uniseg"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/picture"
)

// Control sequences (ECMA-48; the last two of clear and wake: console_codes(4)).
const (
	clear = "\x1b[H\x1b[2J\x1b[3J" // and the lines that were scrolled out
	wake  = "\x1b[13]"             // the console's screen saver
	enter = "\x1b[0m\x1b[?25l" + clear
	leave = clear + "\x1b[?25h"
	home  = "\x1b[H"
	rest  = "\x1b[K" // of a line
	below = "\x1b[J"
)

// The smallest terminals for large characters: an address of two lines of 8 characters of
// 7 by 13 pixels, two pixels a character of the terminal.
const (
	largeColumns = 8 * 7
	largeRows    = 20
)

// smallest is how many columns a line needs at least: a wide character and an ellipsis.
const smallest = 3

// frame is what shows a view on a terminal of that size.
func frame(draw *picture.Renderer, v panel.View, columns, rows int) string {
	lines := body(draw, v, columns, rows)
	if len(lines) > rows {
		lines = lines[:max(0, rows)]
	}
	var b strings.Builder
	b.WriteString(wake + home)
	top := (rows - len(lines)) / 2
	for i := range max(0, rows) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if i >= top && i < top+len(lines) {
			line := lines[i-top]
			b.WriteString(strings.Repeat(" ", max(0, columns-uniseg.StringWidth(line))/2) + line)
		}
		b.WriteString(rest)
	}
	return b.String() + below
}

func body(draw *picture.Renderer, v panel.View, columns, rows int) []string {
	switch {
	case columns < smallest:
		return nil
	case columns > picture.Width && rows >= picture.Height/2:
		return blocks(draw.Draw(v))
	case columns > largeColumns && rows >= largeRows:
		return large(v)
	}
	return fit(v.Lines(), columns)
}

// large is the text with what has to be entered elsewhere in large characters.
func large(v panel.View) []string {
	var head, words []string
	switch v.State {
	case panel.Address:
		head, words = []string{"Enter this address at the device:"}, cut(v.Address)
	case panel.Passcode:
		head, words = []string{"Enter this passcode at the device:"}, cut(v.Passcode)
	default:
		return fit(v.Lines(), panel.Columns)
	}
	for _, w := range words {
		head = append(append(head, ""), blocks(picture.Banner(w))...)
	}
	return head
}

// cut cuts an address or a passcode in two, for two lines.
func cut(s string) []string {
	const most = 16 // characters of a line are 8
	s = strings.ReplaceAll(s, " ", "")
	middle := len(s) / 2
	if strings.Count(s, ":") == 5 {
		return []string{s[:middle], s[middle+1:]}
	}
	s = s[:min(len(s), most)]
	return []string{s[:len(s)/2], s[len(s)/2:]}
}

// fit makes lines as narrow as the terminal, and as wide as each other, so that they keep
// their left edge when they are centred.
func fit(lines []string, columns int) []string {
	var out []string
	width := min(columns, panel.Columns)
	for _, line := range lines {
		if uniseg.StringWidth(line) > width {
			line = strings.Join(panel.Wrap(line, width, 1), "")
		}
		out = append(out, line+strings.Repeat(" ", max(0, width-uniseg.StringWidth(line))))
	}
	return out
}

// blocks writes a picture with two pixels, one above the other, in a character. The
// console's fonts have these four.
func blocks(p *image1bit.VerticalLSB) []string {
	b := p.Bounds()
	var lines []string
	for y := b.Min.Y; y < b.Max.Y; y += 2 {
		var line strings.Builder
		for x := b.Min.X; x < b.Max.X; x++ {
			lower := y+1 < b.Max.Y && bool(p.BitAt(x, y+1))
			switch upper := bool(p.BitAt(x, y)); {
			case upper && lower:
				line.WriteRune('█')
			case upper:
				line.WriteRune('▀')
			case lower:
				line.WriteRune('▄')
			default:
				line.WriteByte(' ')
			}
		}
		lines = append(lines, line.String())
	}
	return lines
}
