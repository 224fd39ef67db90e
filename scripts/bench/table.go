package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is a line of the table: what was measured, how it came out, and how that
// compares with its bar, if there is one.
type row struct {
	what, figure, bar string
}

// table is what the program prints.
type table struct {
	rows []row
}

func (t *table) add(what, figure, bar string) {
	t.rows = append(t.rows, row{what: what, figure: figure, bar: bar})
}

// against says how a figure compares with the most that it may be.
func against(figure, most float64, unit string) string {
	if figure <= most {
		return fmt.Sprintf("at most %g%s: met", most, unit)
	}
	return fmt.Sprintf("at most %g%s: %s by %.0f %%", most, unit, missedWord, 100*(figure/most-1))
}

const missedWord = "MISSED"

// missed tells whether a row says that its bar is missed.
func (t *table) missed() bool {
	return slices.ContainsFunc(t.rows, func(r row) bool { return strings.Contains(r.bar, missedWord) })
}

func (t *table) write(out io.Writer) error {
	if len(t.rows) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "what\tmeasured\tbar")
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.what, r.figure, r.bar)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("cannot print the table: %w", err)
	}
	return nil
}

// median of what was measured several times; of an even number the upper one.
func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// megabytes prints a size in bytes.
func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// milliseconds prints a time.
func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
