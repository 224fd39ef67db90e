package validate

import (
	"bytes"
	"testing"
)

// TestMarked: each format that is known by its beginning is recognised by it, and a file that
// has lost it is not.
func TestMarked(t *testing.T) {
	for _, head := range []string{"\x7fELF\x02\x01", "age-encryption.org/v1\n-> X25519 abc", "\x00GITCRYPT\x00abc", "Salted__12345678", "7z\xbc\xaf\x27\x1c\x00"} {
		body := append([]byte(head), bytes.Repeat([]byte{0xA7, 1}, 700)...)
		format, err := New().Recognise(File{Name: "any", Size: int64(len(body)), Data: bytes.NewReader(body)})
		if err != nil || !format.Marked() {
			t.Errorf("%q is %q, %v", head, format, err)
		}
		if err := New().Check(t.Context(), format, File{Name: "any", Size: int64(len(body)), Data: bytes.NewReader(body)}); err != nil {
			t.Errorf("%q: %v", head, err)
		}
		body[0] ^= 0x55
		if format, _ = New().Recognise(File{Name: "any", Size: int64(len(body)), Data: bytes.NewReader(body)}); format != "" {
			t.Errorf("%q without its beginning is %q", head, format)
		}
	}
	if Format("json").Marked() || Format("").Marked() || Format("json").Sealed() || !Format("age").Sealed() || !Format("known-hosts").Hollow() || Format("pem").Hollow() {
		t.Error("formats are not what they are")
	}
}
