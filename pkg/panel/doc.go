// Package panel owns what the reader's display shows (reference sign 312), as
// values: a View says what is shown, its Lines how that looks in 21 columns and
// 8 rows, which is a 128 by 64 pixel display with a font of 6 by 8.
//
// Display holds the current View for pairing and the daemon, which change it, and for
// those who render it: D-Bus, and below this package picture (a View as pixels), oled
// and terminal. The package button below it is the reader's button (reference sign
// 324). Nothing in this package itself draws, starts or waits. The reader's daemon
// creates the Display; pairing sees it through an interface of its own and does not
// import this package.
package panel
