package keyring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// PasscodeDigits is the length of a pairing passcode.
const PasscodeDigits = 8

// passcodes is how many there are: 10 to the power of PasscodeDigits.
const passcodes = 100_000_000

// ErrMalformedPasscode is returned for an entry that cannot be a pairing
// passcode, whatever the reader displays.
var ErrMalformedPasscode = errors.New("a passcode has 8 digits")

// NewPasscode draws a pairing passcode (step 418) of PasscodeDigits decimal
// digits, each passcode with the same probability, from a cryptographic source.
func NewPasscode(rand io.Reader) (string, error) {
	// Numbers from the last, incomplete run of all passcodes are drawn anew.
	const limit = (1 << 32) / passcodes * passcodes
	var b [4]byte
	for {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("cannot draw a passcode: %w", err)
		}
		if n := uint64(binary.BigEndian.Uint32(b[:])); n < limit {
			return fmt.Sprintf("%0*d", PasscodeDigits, n%passcodes), nil
		}
	}
}

// FormatPasscode groups a passcode for a display: "1234 5678".
func FormatPasscode(p string) string {
	if len(p) != PasscodeDigits {
		return p
	}
	return p[:PasscodeDigits/2] + " " + p[PasscodeDigits/2:]
}

// NormalizePasscode turns what the owner typed (step 420) into the passcode:
// spaces, tabs, line ends and hyphens go, and PasscodeDigits digits must
// remain, else ErrMalformedPasscode. So a slip of the finger costs no guess.
func NormalizePasscode(s string) (string, error) {
	if len(s) > 4*PasscodeDigits {
		return "", ErrMalformedPasscode
	}
	s = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", "-", "").Replace(s)
	if len(s) != PasscodeDigits || strings.Trim(s, "0123456789") != "" {
		return "", ErrMalformedPasscode
	}
	return s, nil
}
