// Package picture draws what the reader's display shows as a picture of 128 by 64
// pixels of one bit: what must be entered elsewhere, the address and the passcode, is as
// large as there is room for, to be read at arm's length.
//
// It is pure: the same View gives the same pixels, and nothing is started or kept.
// The packages below pkg/panel that own a display import it, and who documents them.
package picture
