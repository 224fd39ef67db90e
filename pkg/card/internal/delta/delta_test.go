package delta

import (
	"bytes"
	"strings"
	"testing"
)

// TestMatches wants the longest ranges in their order, wherever they went.
func TestMatches(t *testing.T) {
	a, b := strings.Repeat("abcdefg", 20), strings.Repeat("UVWXYZ", 25)
	for _, test := range []struct {
		name, old, next string
		shared          int
	}{
		{"nothing", "", a, 0},
		{"the same", a + b, a + b, 290},
		{"inserted", a + b, a + "new" + b, 290},
		{"removed", a + "old" + b, a + b, 290},
		{"exchanged", a + b, b + a, 290},
		{"too short", "0123456789", "0123456789", 0},
	} {
		shared := 0
		for _, m := range Matches([]byte(test.old), []byte(test.next)) {
			shared += m.N
		}
		if shared < test.shared-2*MinMatch || shared > test.shared || test.shared > 0 && shared == 0 {
			t.Errorf("%s: %d bytes are shared, want %d", test.name, shared, test.shared)
		}
	}
}

// FuzzMatches wants matches that are ones, in order and apart.
func FuzzMatches(f *testing.F) {
	f.Add([]byte(strings.Repeat("one", 20)), []byte(strings.Repeat("two", 5)+strings.Repeat("one", 10)))
	f.Fuzz(func(t *testing.T, old, next []byte) {
		end := 0
		for _, m := range Matches(old, next) {
			if m.At < end || m.N < MinMatch || m.At+m.N > len(next) || m.From < 0 || m.From+m.N > len(old) {
				t.Fatalf("%+v after %d", m, end)
			}
			if !bytes.Equal(next[m.At:m.At+m.N], old[m.From:m.From+m.N]) {
				t.Fatalf("%+v is no match", m)
			}
			end = m.At + m.N
		}
	})
}
