package panel

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// maxText is how many bytes of a text are looked at; a full display of the
// widest characters takes less.
const maxText = 1024

// maxCluster is how many bytes one character with all its marks may have. More
// is a peer that piles marks up over the lines above.
const maxCluster = 16

const ellipsis = "…"

// Wrap breaks a text from anywhere into at most rows lines of at most that many
// columns. Words stay whole where they fit a line; what does not fit at all ends in
// an ellipsis. Control characters and what piles up over other lines are replaced.
func Wrap(text string, columns, rows int) []string {
	var lines []string
	var line string
	width := 0
	for _, word := range strings.Fields(clean(text)) {
		for _, part := range split(word, columns) {
			w := uniseg.StringWidth(part)
			switch {
			case line == "":
				line, width = part, w
			case width+1+w <= columns:
				line, width = line+" "+part, width+1+w
			default:
				lines = append(lines, line)
				line, width = part, w
			}
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	if len(lines) > rows {
		lines = lines[:rows]
		lines[rows-1] = head(lines[rows-1], columns-1) + ellipsis
	}
	return lines
}

// clean replaces what cannot be shown, or would change how the rest is shown:
// control and format characters, private ones, bytes that are no UTF-8.
func clean(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsGraphic(r) || r == 0x2e3a || r == 0x2e3b:
			return '?'
		}
		return r
	}, text)
	var b strings.Builder
	for state := -1; text != ""; {
		var cluster string
		var width int
		cluster, text, width, state = uniseg.FirstGraphemeClusterInString(text, state)
		if width < 1 || width > 2 || len(cluster) > maxCluster {
			cluster = "?"
		}
		b.WriteString(cluster)
	}
	return b.String()
}

// split cuts a word into parts that each fit a line.
func split(word string, columns int) []string {
	var parts []string
	for word != "" {
		part := head(word, columns)
		parts = append(parts, part)
		word = word[len(part):]
	}
	return parts
}

// head is the longest start of s that takes at most columns; at least one
// character, so that callers make progress.
func head(s string, columns int) string {
	rest, width := s, 0
	for state := -1; rest != ""; {
		var w int
		var next string
		_, next, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if width+w > columns && rest != s {
			break
		}
		width += w
		rest = next
	}
	return s[:len(s)-len(rest)]
}
