// Package oled shows the reader's display on an SSD1306 OLED of 128 by 64 pixels at an
// I²C bus, by periph.io. A bus or a display that is not there, or goes while it is in
// use, is tried again, and told of once in the log.
//
// An OLED wears where it is lit, so it is dimmed and switched off when nothing new has
// been shown for a while; what its owners should know comes back for some seconds in
// each minute.
//
// The reader's daemon makes a Screen and calls Run, which owns the bus. Nothing else
// imports this package.
package oled
