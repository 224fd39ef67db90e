package validate

import (
	"errors"
	"testing"
)

// TestCutInCompressedPacket: what is unpacked may end before its first packet begins, because
// the packet around it does.
func TestCutInCompressedPacket(t *testing.T) {
	for _, b := range []string{"\xc8s\x01", "\xc8s\x00", "\xc8\x01\x01", "\xc8s\x02\x78\x9c", "\xc8s\x03BZh9", "\xc8\xe0\x01"} {
		err := New().Check(t.Context(), openpgp, inMemory("x.gpg", []byte(b)))
		var invalid *Invalid
		if !errors.As(err, &invalid) {
			t.Errorf("%q: %v", b, err)
		}
	}
}
