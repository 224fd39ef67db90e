// Package terminal shows the reader's display on a whole terminal, such as the console
// of a Raspberry Pi with a screen. On a large one it shows the picture that an OLED
// would show; on a smaller one text, with what has to be entered elsewhere in large
// characters. A terminal that is not there, or hangs up, is tried again, and told of once
// in the log.
//
// The terminal is for it alone: a login prompt there has to be switched off. At the end
// it is cleared, its memory of earlier lines too.
//
// The reader's daemon makes a Screen and calls Run, which owns the terminal. Nothing else
// imports this package.
package terminal
