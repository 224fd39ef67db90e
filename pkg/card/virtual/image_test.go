package virtual

import "testing"

// FuzzImage parses any image file. What it takes must be a whole card.
func FuzzImage(f *testing.F) {
	f.Add([]byte(`{"version":1,"tries":3,"root":{"fid":16128,"dir":true,"children":[{"fid":257,"data":"AAAA"}]}}`))
	f.Add([]byte(`{"version":1,"root":{"fid":16128,"dir":true,"children":[{"fid":1},null]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		c := &Card{root: s.Root, tries: s.Tries, session: session{dir: s.Root}}
		if answer, err := c.process([]byte{0, 0xA4, 0, 0x0C, 2, 0x3F, 0}); err != nil || string(answer) != "\x90\x00" {
			t.Fatalf("got %x, %v", answer, err)
		}
		if err := c.root.clone().check(0); err != nil {
			t.Fatal(err)
		}
	})
}
