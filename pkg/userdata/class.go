package userdata

import "fmt"

// Class is one of the four kinds of data in the user-data space (paragraph 20
// of the seed, reference signs 250 to 256). Its value is the name that files,
// the command line and D-Bus use.
type Class string

// The four classes, in the order in which they are restored: what brings the
// device back on the network comes first (paragraph 31).
const (
	ServiceBooks Class = "service-books" // 252: network and account settings
	Keys         Class = "keys"          // 254: public and private keys
	Preferences  Class = "preferences"   // 256
	UserData     Class = "user-data"     // 250
)

// Classes lists the four classes in the order in which they are restored.
func Classes() []Class {
	return []Class{ServiceBooks, Keys, Preferences, UserData}
}

// ParseClass reads a class by its name.
func ParseClass(s string) (Class, error) {
	for _, c := range Classes() {
		if string(c) == s {
			return c, nil
		}
	}
	return "", fmt.Errorf("unknown class %q: want service-books, keys, preferences or user-data", s)
}

// Critical tells whether the device needs the class to be on the network
// again. Critical classes go to the card too, and each missing item counts.
func (c Class) Critical() bool {
	return c == ServiceBooks || c == Keys
}

// Rank is the place of the class in the order of a restore, from 0.
func (c Class) Rank() int {
	for i, o := range Classes() {
		if o == c {
			return i
		}
	}
	return len(Classes())
}
