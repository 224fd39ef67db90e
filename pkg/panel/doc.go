// Package panel owns what the reader's display shows (reference sign 312), as
// values: a View says what is shown, its Lines how that looks in 21 columns and
// 8 rows, which is a 128 by 64 pixel display with a font of 6 by 8.
//
// Display holds the current View for pairing, which changes it, and for those
// who render it: D-Bus today. Nothing here draws, starts or waits. The reader's
// daemon creates the Display; pairing sees it through an interface of its own
// and does not import this package.
package panel
