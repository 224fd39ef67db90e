package detect_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// ledger is contents of a format of its own: not text, not noise.
func ledger(i int) string {
	return strings.Repeat(fmt.Sprintf("\x01\x00\x07entry %05d\x00\x00\x02", i), 200)
}

// TestManyRewritten: many files of no known format that turn into noise in their places are
// one event, which is held back and asked about; few are not.
func TestManyRewritten(t *testing.T) {
	const n = 15
	for what, c := range map[string]struct {
		hit    int
		with   func(i int, was string) string
		doubts int
	}{
		"many":              {n, func(int, string) string { return noise(t, 4000) }, n},
		"ten":               {detect.Many, func(int, string) string { return noise(t, 4000) }, detect.Many},
		"nine":              {detect.Many - 1, func(int, string) string { return noise(t, 4000) }, 0},
		"encrypted by age":  {n, func(int, string) string { return "age-encryption.org/v1\n-> X25519 abc\n" + noise(t, 4000) }, n},
		"locked by git":     {n, func(int, string) string { return "\x00GITCRYPT\x00" + noise(t, 4000) }, n},
		"edited":            {n, func(i int, was string) string { return ledger(i + 100) }, 0},
		"packed by 7z":      {n, func(int, string) string { return "7z\xbc\xaf\x27\x1c" + noise(t, 4000) }, 0},
		"in another format": {n, func(int, string) string { return "\x7fELF" + noise(t, 4000) }, 0},
	} {
		p := newKnowingPhone(t)
		for i := range n {
			p.write(fmt.Sprintf("user-data/books/%02d.ledger", i), ledger(i))
		}
		p.save()
		p.change("blob.bin", func(string) string { return noise(t, 2000) })
		for i := range c.hit {
			name := fmt.Sprintf("user-data/books/%02d.ledger", i)
			raw, err := os.ReadFile(p.path(name))
			p.must(err)
			p.write(name, c.with(i, string(raw)))
		}
		doubts, reasons := 0, make(map[string]bool)
		report := p.judge()
		for _, f := range report.Findings {
			if f.Verdict.Damage() != f.Suspected {
				t.Errorf("%s: %+v", what, f)
			}
			if f.Suspected {
				doubts++
				reasons[f.Reason] = true
			}
		}
		if f, _ := report.Find("keys/blob.bin"); f.Verdict != detect.Changed {
			t.Errorf("%s: noise in another root is %+v", what, f)
		}
		f, _ := report.Find("user-data/blob.bin")
		if c.doubts > 0 && f.Suspected {
			doubts--
		}
		if doubts != c.doubts || f.Suspected != (c.doubts > 0) || len(reasons) > 1 {
			t.Errorf("%s: %d doubts for %d reasons; noise for noise is %+v", what, doubts, len(reasons), f)
		}
	}
}

// TestRewrittenForgotten: who says that it is meant is believed.
func TestRewrittenForgotten(t *testing.T) {
	p := newKnowingPhone(t)
	for i := range 12 {
		p.write(fmt.Sprintf("keys/%02d.ledger", i), ledger(i))
	}
	p.save()
	for i := range 12 {
		p.write(fmt.Sprintf("keys/%02d.ledger", i), noise(t, 4000))
	}
	p.ref.Forgotten = func(n userdata.Name) bool { return n != "keys/03.ledger" }
	for _, f := range p.judge().Findings {
		if f.Suspected != (f.Name == "keys/03.ledger") {
			t.Errorf("%+v", f)
		}
	}
}

// TestManyEncryptedUnderNewNames: whoever did it has a key, where the format says so.
func TestManyEncryptedUnderNewNames(t *testing.T) {
	for head, suspected := range map[string]bool{"age-encryption.org/v1\n-> X25519 abc\n": true, "\x01": false} {
		p := newKnowingPhone(t)
		for i := range 12 {
			p.write(fmt.Sprintf("user-data/%02d.ledger", i), ledger(i))
		}
		p.save()
		for i := range 12 {
			name := fmt.Sprintf("user-data/%02d.ledger", i)
			p.must(os.Remove(p.path(name)))
			p.write(name+".locked", head+noise(t, 4000))
		}
		erased := 0
		for _, f := range p.judge().Findings {
			if f.Verdict == detect.Erased && f.Suspected == suspected {
				erased++
			}
		}
		if erased != 12 {
			t.Errorf("%q: %d erased as they should", head, erased)
		}
	}
}
