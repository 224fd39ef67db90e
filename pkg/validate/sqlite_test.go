package validate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSQLite(t *testing.T) {
	for _, d := range databases(t) {
		t.Run(d.name, func(t *testing.T) {
			t.Run("valid", d.valid)
			if len(d.files) == 1 && slices.Contains([]string{"p512.db", "p4096.db", "full512.db", "holes.db", "utf16.db"}, d.name) {
				t.Run("damaged", d.damaged)
			}
			switch d.name {
			case "wal-both.db":
				t.Run("log", d.log)
			case "p4096.db":
				t.Run("journal", d.journal)
				t.Run("written", d.written)
			case "p1024.db", "full4096.db", "holes.db":
				t.Run("agrees", d.agrees)
			}
		})
	}
}

func (d database) valid(t *testing.T) {
	wantValid(t, "sqlite", d.file())
	if len(d.files[d.name+"-wal"]) == 0 {
		return
	}
	wantValid(t, "sqlite-wal", inDirectory(d.name+"-wal", d.files))
	wantValid(t, "sqlite", d.without("-shm").file())
}

// tally counts what is found, by kind of damage.
type tally map[string][2]int

func (c tally) count(t *testing.T, kind, name string, b []byte) {
	t.Helper()
	n := c[kind]
	n[1]++
	if isInvalid(checkBytes(t, "sqlite", name, b)) {
		n[0]++
	}
	c[kind] = n
}

// damaged cuts a database short at pages, zeroes and swaps pages, and flips bits. What
// has to be found, to the last: every cut, every B-tree page that is zeroed, and
// every two of them that are swapped, but for the first pages of two trees. Free pages may
// hold anything, and the last overflow page of a blob too.
func (d database) damaged(t *testing.T) {
	db, found := d.alone(), tally{}
	size := pageSizeOf(db)
	for i := 0; i < len(db)/size; i += max(1, len(db)/size/12) {
		found.count(t, "cut at a page", d.name, db[:i*size])
		found.count(t, "cut in a page", d.name, db[:i*size+size/3])
		zeroed := bytes.Clone(db)
		clear(zeroed[i*size : (i+1)*size])
		found.count(t, "zeroed "+d.kind(i), d.name, zeroed)
		for bit := 0; bit < 96; bit += 13 {
			found.count(t, "flip in the head of "+d.kind(i), d.name, flipped(db, i*size+bit/8, bit%8))
		}
		for j := i + 3; i > 0 && j < len(db)/size; j += 1 + len(db)/size/4 {
			if kind, swapped := d.swapped(i, j); !bytes.Equal(swapped, db) {
				found.count(t, kind, d.name, swapped)
			}
		}
	}
	for bit := 0; bit < 800; bit += 7 {
		found.count(t, "flip in the header", d.name, flipped(db, bit/8, bit%8))
	}
	for kind, n := range found {
		t.Logf("%-30s found %4d of %4d", kind, n[0], n[1])
		must := strings.HasPrefix(kind, "cut") || kind == "zeroed tree" || kind == "swapped trees" || kind == "swapped different"
		if must && n[0] < n[1] {
			t.Errorf("%s: found %d of %d", kind, n[0], n[1])
		}
	}
}

func flipped(b []byte, at, bit int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1 << bit
	return b
}

func (d database) swapped(i, j int) (kind string, b []byte) {
	size := pageSizeOf(d.alone())
	b = bytes.Clone(d.alone())
	copy(b[i*size:], d.alone()[j*size:(j+1)*size])
	copy(b[j*size:], d.alone()[i*size:(i+1)*size])
	switch a, b := d.kind(i), d.kind(j); {
	case a == "tree" && b == "tree" && d.roots[i+1] && d.roots[j+1]:
		kind = "swapped roots"
	case a == "tree" && b == "tree":
		kind = "swapped trees"
	case a == "tree" && b == "free":
		kind = "swapped different"
	default:
		kind = "swapped others"
	}
	return kind, b
}

// pageSizeOf is in bytes.
func pageSizeOf(db []byte) int { return int(sqlitePageSize(db)) }

// kind guesses what page i is, from 0 on: of a tree, free, or other.
func (d database) kind(i int) string {
	size := pageSizeOf(d.alone())
	p := sqlitePage{b: d.alone()[i*size : (i+1)*size]}
	if i == 0 {
		return "tree"
	}
	if freePages(d.alone())[i] {
		return "free"
	}
	if what := p.header(); what == "" {
		if _, what = p.layout(nil); what == "" {
			return "tree"
		}
	}
	return "other"
}

// freePages finds pages whose contents do not matter, from 0 on.
func freePages(db []byte) map[int]bool {
	free, size := map[int]bool{}, pageSizeOf(db)
	for trunk := binary.BigEndian.Uint32(db[32:]); trunk != 0; {
		b := db[int(trunk-1)*size:]
		for i := range binary.BigEndian.Uint32(b[4:]) {
			free[int(binary.BigEndian.Uint32(b[8+4*i:]))-1] = true
		}
		trunk = binary.BigEndian.Uint32(b)
	}
	return free
}

// log damages the write-ahead log: with the index beside it everything committed has to
// be there; behind that anything may be.
func (d database) log(t *testing.T) {
	wal := d.files[d.name+"-wal"]
	frame := sqliteFrameHeader + int(binary.BigEndian.Uint32(wal[8:]))
	index, err := readSQLiteIndex(d.file())
	if err != nil || !index.pending {
		t.Fatalf("the index says nothing: %v, %v", index, err)
	}
	end := sqliteWALHeader + int(index.frames)*frame
	for n := 0; n < len(wal); n += frame/2 + 1 {
		if err := checkFile(t, "sqlite", d.with("-wal", wal[:n]).file()); isInvalid(err) != (n < end) {
			t.Errorf("log cut at %d of %d: %v", n, end, err)
		}
		bad := d.with("-wal", flipped(wal, n, 4))
		if err := checkFile(t, "sqlite", bad.file()); isInvalid(err) != (n < end) {
			t.Errorf("log with a bit flipped at %d of %d: %v", n, end, err)
		}
		if err := checkFile(t, "sqlite-wal", inDirectory(d.name+"-wal", bad.files)); isInvalid(err) != (n < end) {
			t.Errorf("log by itself with a bit flipped at %d of %d: %v", n, end, err)
		}
	}
	if err := checkFile(t, "sqlite", d.with("-wal", flipped(wal, sqliteWALHeader+frame+100, 0)).without("-shm").file()); err == nil {
		t.Error("a log without an index, with a bit flipped before its commits, is whole")
	}
	if err := checkFile(t, "sqlite", d.with("-wal", make([]byte, len(wal))).file()); !isInvalid(err) {
		t.Errorf("a log of zeros: %v", err)
	}
	if err := checkFile(t, "sqlite", d.without("-wal").file()); !isInvalid(err) {
		t.Errorf("without its log: %v", err)
	}
}

func (d database) journal(t *testing.T) {
	bad := bytes.Clone(d.alone())
	clear(bad[4096:8192])
	hot := d.with("", bad).with("-journal", []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"))
	if err := checkFile(t, "sqlite", hot.file()); err == nil || isInvalid(err) {
		t.Errorf("with a hot journal: %v", err)
	}
	if err := checkFile(t, "sqlite", d.with("-journal", make([]byte, 512)).file()); err != nil {
		t.Errorf("with a journal that is done with: %v", err)
	}
}

// written: a database that is written to while it is read is not accused.
func (d database) written(t *testing.T) {
	bad := bytes.Clone(d.alone())
	clear(bad[4096:8192])
	f := inMemory(d.name, bad)
	f.Data = writtenTo{bad}
	if err := checkFile(t, "sqlite", f); err == nil || isInvalid(err) {
		t.Errorf("while it is written to: %v", err)
	}
}

// writtenTo counts a transaction with every read.
type writtenTo struct{ b []byte }

func (w writtenTo) ReadAt(p []byte, off int64) (int, error) {
	w.b[27]++
	w.b[95]++
	return bytes.NewReader(w.b).ReadAt(p, off)
}

// agrees: what SQLite's own integrity check finds broken in the structure of pages is
// found here. Rows whose contents are not those in an index, and SQL that is none, it
// alone finds.
func (d database) agrees(t *testing.T) {
	dir, size := t.TempDir(), pageSizeOf(d.alone())
	var script strings.Builder
	var ours []bool
	for i := range 60 {
		b := flipped(d.alone(), (i*7919)%(len(d.alone())/size)*size+(i*13)%24, i%8)
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		ours = append(ours, isInvalid(checkBytes(t, "sqlite", d.name, b)))
		fmt.Fprintf(&script, ".open --readonly %s\nselect '<<%d';\npragma integrity_check(1);\n", path, i)
	}
	c := exec.Command(program(t, "sqlite3"))
	c.Stdin = strings.NewReader(script.String())
	out, _ := c.CombinedOutput() // it fails where it finds something
	found := map[string]int{}
	for i, part := range strings.Split(string(out), "<<")[1:] {
		theirs := !strings.Contains(part, "\nok\n")
		contents := strings.Contains(part, "missing from index") || strings.Contains(part, "malformed database schema")
		found[fmt.Sprintf("SQLite %t, here %t", theirs, ours[i])]++
		if theirs && !contents && !ours[i] {
			t.Errorf("change %d: only SQLite finds it: %q", i, part)
		}
	}
	t.Log(found)
}
