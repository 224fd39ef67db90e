package vault

import (
	"fmt"
	"strings"
	"testing"
)

// TestAlikeLiesWithAlike: files of two kinds, added in turns, lie apart in their packs.
func TestAlikeLiesWithAlike(t *testing.T) {
	b, tr := newBench(t), tree{}
	for i := range 80 {
		tr.file(fmt.Sprintf("user-data/f%03da", i), fmt.Appendf(nil, "BEGIN:VCARD\n%s", strings.Repeat(fmt.Sprintf("N:%d\n", i), 5000)))
		tr.file(fmt.Sprintf("user-data/f%03db", i), append([]byte("\xff\xd8\xff\xe0"), noise(uint64(i), 30_000)...))
	}
	d := b.full(tr)
	b.verify(d, tr)
	b.verify(b.load(b.last), tr)
	kinds := make(map[BlobID]map[byte]bool)
	for _, e := range d.Entries() {
		for _, x := range e.Extents {
			if kinds[x.Pack] == nil {
				kinds[x.Pack] = make(map[byte]bool)
			}
			kinds[x.Pack][e.Name[len(e.Name)-1]] = true
		}
	}
	mixed := 0
	for _, k := range kinds {
		if len(k) > 1 {
			mixed++
		}
	}
	if len(kinds) < 3 || mixed > 1 {
		t.Errorf("%d of %d packs hold both kinds; only what is left at the end may", mixed, len(kinds))
	}
}

func TestGroupOf(t *testing.T) {
	for _, c := range []struct {
		part       Part
		a, b       string
		same, text bool
	}{
		{Bulk, "BEGIN:VCARD\r\n", "BEGIN:VCALENDAR", true, true},
		{Bulk, `{"id":"1"`, `{"name":2`, true, true},
		{Bulk, `{"id":"1"`, "BEGIN:VCARD", false, true},
		{Bulk, "2023-11-14T", "1999-01-01", true, true},
		{Bulk, "\xff\xd8\xff\xe0abc", "\xff\xd8\xff\xe0xyz", true, false},
		{Bulk, "SQLite format 3\x00", "\xff\xd8\xff\xe0xyz", false, false},
		{Critical, "[connection]\nid=a", "[connection]\nid=b", true, true},
		{Critical, "[connection]\nid=a", "[Interface]\nPriv", false, true},
		{Bulk, "", "", true, true},
	} {
		a, b := groupOf(c.part, []byte(c.a)), groupOf(c.part, []byte(c.b))
		if (a == b) != c.same {
			t.Errorf("%q is in %q, %q in %q", c.a, a, c.b, b)
		}
		if text := a[0] != 'b'; text != c.text {
			t.Errorf("%q is text: %v", c.a, text)
		}
	}
}
