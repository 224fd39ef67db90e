package keyring

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// RecoveryDigits is the length of a recovery code without its hyphens: 128
// random bits and a checksum of 12.
const RecoveryDigits = 28

const (
	recoverySecret = 16 // bytes
	recoveryLabel  = "reprovision recovery code v1"
	recoveryGroup  = 4
	// The digits are Crockford's: no letter that looks like another digit.
	recoveryAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// ErrMalformedRecoveryCode is returned for an entry that cannot be a recovery
// code, or that has a slip of the pen in it.
var ErrMalformedRecoveryCode = errors.New("not a recovery code: 28 letters and digits, in groups of four")

// NewRecoveryCode draws a recovery code: RecoveryDigits digits, as NormalizeRecoveryCode
// returns them.
func NewRecoveryCode(rand io.Reader) (string, error) {
	var secret [recoverySecret]byte
	if _, err := io.ReadFull(rand, secret[:]); err != nil {
		return "", fmt.Errorf("cannot draw a recovery code: %w", err)
	}
	return encodeRecovery(secret[:]), nil
}

// encodeRecovery writes 128 bits and the first 12 of their checksum.
func encodeRecovery(secret []byte) string {
	sum := sha256.Sum256(slices.Concat([]byte(recoveryLabel), secret))
	padded := append(slices.Clone(secret), sum[0], sum[1]&0xf0)
	return recoveryBase().EncodeToString(padded)[:RecoveryDigits] // the digit that is cut off is 0
}

func recoveryBase() *base32.Encoding {
	return base32.NewEncoding(recoveryAlphabet).WithPadding(base32.NoPadding)
}

// FormatRecoveryCode groups a recovery code for people: "0123-4567-...".
func FormatRecoveryCode(code string) string {
	var groups []string
	for g := range slices.Chunk([]byte(code), recoveryGroup) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, "-")
}

// NormalizeRecoveryCode turns what the owner typed into the code: spaces and
// hyphens go, letters become capitals, O is 0, I and L are 1, and the checksum
// must be right, else ErrMalformedRecoveryCode.
func NormalizeRecoveryCode(s string) (string, error) {
	if len(s) > 4*RecoveryDigits {
		return "", ErrMalformedRecoveryCode
	}
	s = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", "-", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(s))
	if len(s) != RecoveryDigits {
		return "", ErrMalformedRecoveryCode
	}
	raw, err := recoveryBase().DecodeString(s + "0")
	if err != nil || encodeRecovery(raw[:recoverySecret]) != s {
		return "", ErrMalformedRecoveryCode
	}
	return s, nil
}
