package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// outcome is what a catalogue has found.
type outcome struct {
	table   table
	summary []string // rates and times
	misses  []string // what was not as it should be, each with what was seen
	skipped []string // what could not be tried here, each with the reason
}

// write prints all of it.
func (o outcome) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	o.table.write(b)
	for _, l := range o.summary {
		fmt.Fprintln(b, l)
	}
	list(b, "not tried here", o.skipped)
	list(b, "not as it should be", o.misses)
	return b.Flush()
}

func list(b *bufio.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "  %s\n", l)
	}
}

// table is rows of text under a head.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write prints the columns one beside the other, each as wide as it must be.
func (t *table) write(b *bufio.Writer) {
	var widths []int
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	t.line(b, widths, t.head)
	for _, row := range t.rows {
		t.line(b, widths, row)
	}
}

func (t *table) line(b *bufio.Writer, widths []int, row []string) {
	var line strings.Builder
	for i, cell := range row {
		line.WriteString(cell)
		line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
	}
	fmt.Fprintln(b, strings.TrimRight(line.String(), " "))
}

// median and slowest sum up times; both are 0 of none.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func slowest(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Max(all)
}

// seconds prints a time with one decimal.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
