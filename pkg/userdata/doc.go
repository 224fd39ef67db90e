// Package userdata owns the vocabulary of the user-data space: its four
// classes, the roots that belong to each, and the names of items below them.
//
// Everything here is a value. It touches no file and no wire, has no lifecycle
// and may be imported by every other package.
package userdata
