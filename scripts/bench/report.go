package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// amount prints a figure in its unit.
func amount(v float64, unit string) string {
	switch {
	case unit == "B" && v >= 1e6:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case unit == "B" && v >= 10e3:
		return fmt.Sprintf("%.1f kB", v/1e3)
	case unit == "B":
		return fmt.Sprintf("%.0f B", v)
	case unit == "%":
		return fmt.Sprintf("%.3f %%", v)
	case unit == "MB":
		return fmt.Sprintf("%.0f MB", v)
	}
	return strings.TrimSpace(fmt.Sprintf("%.2f %s", v, unit))
}

// cells of a row: what, ours, the bar, the verdict, each peer, the note.
func (l *league) cells(s step) []string {
	ours, bar, verdict := amount(s.ours, s.unit), "", ""
	if s.most > 0 {
		bar, verdict = amount(s.most, s.unit), "pass"
	}
	if s.missed() {
		verdict = "FAIL"
	}
	if s.ours == 0 && s.note != "" && s.most == 0 {
		ours = ""
	}
	row := []string{s.what, ours, bar, verdict}
	for _, name := range peerNames() {
		cell := ""
		if f := s.peers[name]; f.known {
			cell = amount(f.value, s.unit)
		} else if why := l.away[name]; why != "" && s.peers != nil {
			cell = why
		}
		row = append(row, cell)
	}
	return append(row, s.note)
}

func heads() []string {
	return append(append([]string{"step", "measured", "at most", "verdict"}, peerNames()...), "note")
}

// print writes the table for a terminal.
func (l *league) print(out io.Writer) error {
	if len(l.steps) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heads(), "\t"))
	for _, s := range l.steps {
		fmt.Fprintln(w, strings.Join(l.cells(s), "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("cannot print the table: %w", err)
	}
	return nil
}

// write puts the table and the plot into the documentation.
func (l *league) write(docs string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# What the engine costs\n\nWritten by `make bench WRITE=1`; do not edit. Tree: %s.\n\n", l.tree)
	b.WriteString("Bytes are those that passed the link, both ways, counted by a meter between the two daemons (and between each peer and its far end). ")
	b.WriteString("Times are medians; what is compared was run in turns, on the same machine, in the same run.\n\n")
	row := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	row(heads())
	b.WriteString("|---|--:|--:|---|--:|--:|--:|---|\n")
	for _, s := range l.steps {
		row(l.cells(s))
	}
	b.WriteString("\n![Bytes on the link](bench.svg)\n")
	if err := os.WriteFile(filepath.Join(docs, "bench.md"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	if err := os.WriteFile(filepath.Join(docs, "bench.svg"), []byte(l.plot()), 0o644); err != nil {
		return fmt.Errorf("cannot write the plot: %w", err)
	}
	return nil
}

// Measures of the plot, in its own units.
const (
	plotLeft  = 330
	plotWide  = 520
	plotBar   = 11
	plotSteps = 8 // powers of ten, from 100 B on
)

// plot draws the bytes of each step, ours and the peers', on a logarithmic scale, with
// the bar of each step as a line.
func (l *league) plot() string {
	colours := []string{"#1b6ca8", "#c77d2e", "#8a9a5b", "#9b6b9e"}
	names := append([]string{"reprovision"}, peerNames()...)
	at := func(v float64) float64 {
		return plotLeft + plotWide*min(1, max(0, (math.Log10(max(v, 1))-2)/(plotSteps-1)))
	}
	var b strings.Builder
	y := 50.0
	for i, name := range names {
		fmt.Fprintf(&b, `<rect x="%d" y="14" width="11" height="11" fill="%s"/><text x="%d" y="24">%s</text>`+"\n", plotLeft+110*i, colours[i], plotLeft+16+110*i, name)
	}
	for _, s := range l.steps {
		if s.unit != "B" || s.ours == 0 {
			continue
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.0f" text-anchor="end">%s</text>`+"\n", plotLeft-8, y+10, s.what)
		top := y
		for i, name := range names {
			v := s.ours
			if i > 0 {
				f := s.peers[name]
				if !f.known {
					continue
				}
				v = f.value
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%.0f" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%.0f" font-size="9">%s</text>`+"\n",
				plotLeft, y, max(1, at(v)-plotLeft), plotBar-1, colours[i], at(v)+3, y+9, amount(v, s.unit))
			y += plotBar
		}
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.0f" stroke="#b00020" stroke-width="2"/>`+"\n", at(s.most), at(s.most), top-2, y)
		y += 12
	}
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" font-family="sans-serif" font-size="11">`+"\n"+
		`<title>Bytes on the link, logarithmic; the red line is the most that a step may cost</title>`+"\n"+
		`<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n", plotLeft+plotWide+70, y+10)
	return head + b.String() + "</svg>\n"
}
