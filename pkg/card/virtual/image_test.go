package virtual

import "testing"

// FuzzImage parses any image file. What it takes must be a whole card.
func FuzzImage(f *testing.F) {
	f.Add([]byte(`{"version":1,"tries":3,"root":{"fid":16128,"dir":true,"children":[{"fid":257,"data":"AAAA"}]}}`))
	f.Add([]byte(`{"version":1,"root":{"fid":16128,"dir":true},"piv":{"algorithm":8,"management_key":"AAAAAAAAAAAAAAAAAAAAAA==","objects":{"6275331":"AQ=="}}}`))
	f.Add([]byte(`{"version":1,"root":{"fid":16128,"dir":true,"children":[{"fid":1},null]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		c := &Card{root: s.Root, codes: s.codes, session: session{dir: s.Root}}
		if s.PIV != nil {
			c.piv, c.options.Quirks.MaxObject = s.PIV, DefaultMaxObject
			if answer, err := c.process(append([]byte{0, 0xA4, 4, 0, 9}, pivAID()...)); err != nil || len(answer) < 10 {
				t.Fatalf("got %x, %v", answer, err)
			}
			return
		}
		if answer, err := c.process([]byte{0, 0xA4, 0, 0x0C, 2, 0x3F, 0}); err != nil || string(answer) != "\x90\x00" {
			t.Fatalf("got %x, %v", answer, err)
		}
		if err := c.root.clone().check(0); err != nil {
			t.Fatal(err)
		}
	})
}
