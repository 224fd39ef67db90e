package busapi

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// ParseAddress reads a 48-bit device address (step 414) as people type it: six
// pairs of hexadecimal digits with colons or hyphens between them, or none. It
// returns the form that the display shows, "AA:BB:CC:DD:EE:FF". The error wraps
// ErrInvalidArguments.
func ParseAddress(s string) (string, error) {
	bad := fmt.Errorf("%w: %q is not a device address: want six pairs of hexadecimal digits such as 00:1A:7D:DA:71:13",
		ErrInvalidArguments, cut(s, 40))
	digits := s
	if len(s) == 17 {
		parts := strings.Split(s, s[2:3])
		if len(parts) != 6 || (s[2] != ':' && s[2] != '-') {
			return "", bad
		}
		digits = strings.Join(parts, "")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 6 {
		return "", bad
	}
	pairs := make([]string, len(raw))
	for i, b := range raw {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":"), nil
}
