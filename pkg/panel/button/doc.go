// Package button is the reader's button (reference sign 324): a key of an input device
// (evdev), or a push button at a GPIO line. What is pressed briefly is told apart from
// what is held. A device that is not there, or goes while it is in use, is tried again,
// and told of once in the log.
//
// The reader's daemon makes a Button and calls Run, which owns the device. Nothing else
// imports this package.
package button
