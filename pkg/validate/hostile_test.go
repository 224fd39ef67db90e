package validate

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile is a file made to cost its parser much.
type hostile struct {
	format   Format
	contents string
}

func hostileFiles(t *testing.T) map[string]hostile {
	most := parsedMax - 64
	fill := func(s string, n int) string { return strings.Repeat(s, n/len(s)) }
	return map[string]hostile{
		"open brackets":        {"json", fill("[", 3<<20)},
		"one string":           {"json", `"` + fill("x", 1<<20) + `"`},
		"one comment":          {"json", "/*" + fill("*", 1<<20)},
		"flow brackets":        {"yaml", fill("[", most)},
		"flow braces":          {"yaml", fill("{a: ", most)},
		"block sequences":      {"yaml", fill("- ", most)},
		"keys asked for":       {"yaml", fill("? ", most)},
		"comments":             {"yaml", fill("#\n", most)},
		"comments and items":   {"yaml", fill("#x\n- y\n", most)},
		"small nodes":          {"yaml", "[" + fill("a,", most) + "]"},
		"anchors":              {"yaml", fill("- &a *a\n", most)},
		"aliases of aliases":   {"yaml", "a: &a [x,x,x,x,x,x,x,x,x]\n" + bombYAML()},
		"long lines":           {"yaml", "a: " + fill("x y ", most)},
		"documents":            {"yaml", fill("---\n", most)},
		"tags":                 {"yaml", fill("- !!str\n", most)},
		"arrays":               {"toml", "a = " + fill("[", most)},
		"arrays behind quotes": {"toml", "a = [" + fill(`""""a""""",[`, most)},
		"inline tables":        {"toml", "a = " + fill("{a=", most)},
		"a key of many parts":  {"toml", "a" + fill(".a", most) + " = 1"},
		"tables":               {"toml", fill("[a]\n[[b]]\n", most)},
		"many keys":            {"toml", manyKeys(most)},
		"elements":             {"xml", fill("<a>", 1<<18)},
		"attributes":           {"xml", "<a" + fill(` b=""`, 3<<20) + "/>"},
		"one text":             {"xml", "<a>" + fill("x", 5<<19) + "</a>"},
		"entities":             {"xml", `<!DOCTYPE a [` + fill(`<!ENTITY x "&x;&x;">`, 1<<16) + `]><a>` + fill("&x;", 1<<16) + `</a>`},
		"one directive":        {"xml", "<!DOCTYPE " + fill("<", 3<<20)},
		"sections":             {"ini", fill("[a]\n", 1<<20)},
		"one line":             {"desktop", "[Desktop Entry]\nA=" + fill("x", 1<<20)},
		"zeros packed":         {"gzip", packedZeros(t)},
		"arrays of arrays":     {"bplist", bombPlist()},
		"changes":              {"pdf", "%PDF-1.4\n" + fill("xref\ntrailer<</Prev 9>>\n", 1<<20) + "startxref\n9\n%%EOF"},
		"objects at one place": {"pdf", "%PDF-1.4\n1 0 obj\n2\nendobj\nxref\n0 26214\n" + fill("0000000009 00000 n \n", 1<<19) + "trailer<</Root 1 0 R>>\nstartxref\n26\n%%EOF"},
		"blocks":               {"gif", "GIF89a\x01\x00\x01\x00\x00\x00\x00" + fill("\x21\xfe\x00", 1<<20)},
		"chunks":               {"mp4", "\x00\x00\x00\x0cftypisom" + fill("\x00\x00\x00\x08free", 1<<19)},
	}
}

// TestHostile: files made to cost a parser much cost little. The bounds are far above
// what is used, as a machine under load needs them; without the limits each of these
// takes minutes, gigabytes, or the process.
func TestHostile(t *testing.T) {
	for name, c := range hostileFiles(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			var before, after runtime.MemStats
			f := inMemory("a", []byte(c.contents))
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := New().Check(ctx, c.format, f)
			runtime.ReadMemStats(&after)
			t.Logf("%-6s %-21s %8d bytes: %6.2fs, %4d MB allocated in all: %v", c.format, name, f.Size,
				time.Since(start).Seconds(), (after.TotalAlloc-before.TotalAlloc)>>20, err)
			if ctx.Err() != nil {
				t.Error("it did not end")
			}
			if after.HeapSys > before.HeapSys+256<<20 {
				t.Errorf("the heap grew by %d MB", (after.HeapSys-before.HeapSys)>>20)
			}
		})
	}
}

func bombYAML() string {
	var b strings.Builder
	for c := 'a'; c < 'z'; c++ {
		fmt.Fprintf(&b, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c+1, c+1, c, c, c, c, c, c, c, c, c)
	}
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n-20; i++ {
		fmt.Fprintf(&b, "k%d = %d\n", i, i)
	}
	return b.String()
}

func packedZeros(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 4 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bombPlist is a list of two lists of two lists ..., which are the same.
func bombPlist() string {
	b := []byte("bplist00")
	var table []byte
	for i := range 200 {
		table = append(table, byte(len(b)>>8), byte(len(b)))
		b = append(b, 0xa2, byte((i+1)%200), byte((i+1)%200))
	}
	at := len(b)
	b = append(b, table...)
	b = append(b, 0, 0, 0, 0, 0, 0, 2, 1)
	for _, n := range []int{200, 0, at} {
		b = append(b, 0, 0, 0, 0, 0, 0, byte(n>>8), byte(n))
	}
	return string(b)
}
