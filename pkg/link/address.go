package link

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrBadAddress is wrapped by every error about a text that is no address.
var ErrBadAddress = errors.New("not an address")

// Address is the 48-bit device address of a reader (step 412), most significant
// byte first. The zero Address stands for none.
type Address [6]byte

// addressText is the length of "AA:BB:CC:DD:EE:FF".
const addressText = 17

// ParseAddress reads six pairs of hexadecimal digits with colons or hyphens
// between them ("AA:BB:CC:DD:EE:FF"), upper or lower case. The addresses that
// stand for nobody (all zeros) and everybody (all ones) are refused.
func ParseAddress(s string) (Address, error) {
	if len(s) != addressText {
		return Address{}, fmt.Errorf("%w: want AA:BB:CC:DD:EE:FF, got %d characters", ErrBadAddress, len(s))
	}
	separator := s[2]
	if separator != ':' && separator != '-' {
		return Address{}, fmt.Errorf("%w: want AA:BB:CC:DD:EE:FF", ErrBadAddress)
	}
	var a Address
	for i, pair := range strings.Split(s, string(separator)) {
		if i >= len(a) || len(pair) != 2 {
			return Address{}, fmt.Errorf("%w: want AA:BB:CC:DD:EE:FF", ErrBadAddress)
		}
		if _, err := hex.Decode(a[i:i+1], []byte(pair)); err != nil {
			return Address{}, fmt.Errorf("%w: %w", ErrBadAddress, err)
		}
	}
	if a.IsZero() || a == (Address{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) {
		return Address{}, fmt.Errorf("%w: %s belongs to no reader", ErrBadAddress, a)
	}
	return a, nil
}

// String is the address as it is displayed: "AA:BB:CC:DD:EE:FF".
func (a Address) String() string {
	return fmt.Sprintf("%02X:%02X:%02X:%02X:%02X:%02X", a[0], a[1], a[2], a[3], a[4], a[5])
}

// Text is String, and "" for the Address that stands for none.
func (a Address) Text() string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

// IsZero tells whether the address stands for none.
func (a Address) IsZero() bool { return a == Address{} }

// MarshalText gives the displayed form, for settings and JSON.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what ParseAddress reads.
func (a *Address) UnmarshalText(text []byte) error {
	parsed, err := ParseAddress(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}
