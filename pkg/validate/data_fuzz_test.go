package validate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// fuzzData looks at any bytes as at a file of the format. A check ends, with a
// verdict, a doubt or nothing, and the same one every time.
func fuzzData(f *testing.F, format Format, seeds ...[]byte) {
	name := ""
	for _, s := range samples(f) {
		if s.format == format {
			name = s.name
			f.Add(s.whole)
			f.Add(s.whole[:len(s.whole)/2])
		}
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := checkBytes(t, format, name, b)
		again := checkBytes(t, format, name, b)
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Errorf("first %v, then %v", err, again)
		}
	})
}

func FuzzYAML(f *testing.F) {
	fuzzData(f, "yaml", []byte("a: &a [x]\nb: [*a, *a]\n? k\n: |\n  t\n--- !t\n{a: 'b', \"c\\n\": ~}\n...\n"))
}

func FuzzTOML(f *testing.F) {
	fuzzData(f, "toml", []byte("[[a.\"b\".c]]\nd = \"\"\"x\"\"\"\"\ne = '''y'''\nf = [[1,], {a.b = 0x1}]\n"))
}

func FuzzINI(f *testing.F)     { fuzzData(f, "ini") }
func FuzzDesktop(f *testing.F) { fuzzData(f, "desktop") }

func FuzzXML(f *testing.F) {
	fuzzData(f, "xml", []byte("<?xml version='1.0' encoding='iso-8859-1'?><a>\xe4</a>"), []byte("\xff\xfe<\x00a\x00"))
}

func FuzzPlist(f *testing.F) { fuzzData(f, "plist", []byte("bplist00")) }

func FuzzBinaryPlist(f *testing.F) {
	dir := runProgram(f, "python3", "-c", makeByPython)
	fuzzData(f, "bplist", readFile(f, dir, "b.plist"), readFile(f, dir, "x.plist"))
}

func FuzzPNG(f *testing.F)  { fuzzData(f, "png") }
func FuzzJPEG(f *testing.F) { fuzzData(f, "jpeg") }
func FuzzGIF(f *testing.F)  { fuzzData(f, "gif") }
func FuzzWebP(f *testing.F) { fuzzData(f, "webp") }
func FuzzMP4(f *testing.F)  { fuzzData(f, "mp4") }
func FuzzPDF(f *testing.F)  { fuzzData(f, "pdf") }
func FuzzZip(f *testing.F)  { fuzzData(f, "zip") }
func FuzzGzip(f *testing.F) { fuzzData(f, "gzip") }
func FuzzTar(f *testing.F)  { fuzzData(f, "tar") }

func FuzzGVDB(f *testing.F) {
	for _, path := range []string{"/usr/share/glib-2.0/schemas/gschemas.compiled"} {
		if b, err := os.ReadFile(path); err == nil && len(b) < 1<<20 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = checkBytes(t, "gvdb", "user", b)
		_ = checkBytes(t, "gvdb", "user", append([]byte(gvdbMagic+"\x00\x00\x00\x00"), b...))
	})
}

// FuzzJSON holds the scanner against Go's own.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{sampleJSON(), "// c\n{/* c */\"a\": [1, 2,],}", "-0.0e+1", "\"\\u12aF\"", "[]x", bom + "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ours := New().Check(context.Background(), "json", inMemory("a.json", b))
		if errors.Is(ours, ErrNotJudged) || isNoText(ours) {
			return
		}
		lenient := bytes.ContainsAny(b, "/NI") || bytes.HasPrefix(b, []byte(bom)) || hasTrailingComma(b)
		if theirs := json.Valid(b); theirs != (ours == nil) && (theirs || !lenient) {
			t.Errorf("%q: %v, and encoding/json says %t", b, ours, theirs)
		}
		_ = checkBytes(t, "jsonl", "a.jsonl", b)
	})
}

func hasTrailingComma(b []byte) bool {
	for i, c := range b {
		rest := bytes.TrimLeft(b[i+1:], " \t\r\n")
		if c == ',' && len(rest) > 0 && (rest[0] == ']' || rest[0] == '}') {
			return true
		}
	}
	return false
}

// FuzzSQLite damages a database, its log and the log's index.
func FuzzSQLite(f *testing.F) {
	for _, d := range databases(f) {
		if len(d.alone()) < 100<<10 {
			f.Add(d.alone(), d.files[d.name+"-wal"], d.files[d.name+"-shm"])
		}
	}
	f.Fuzz(func(t *testing.T, db, wal, shm []byte) {
		d := database{name: "a", files: map[string][]byte{"a": db, "a-wal": wal, "a-shm": shm}}
		_ = checkFile(t, "sqlite", d.file())
		_ = checkFile(t, "sqlite", inMemory("a", db))
		_ = checkFile(t, "sqlite-wal", inDirectory("a-wal", d.files))
	})
}

// FuzzDataRecognise: whatever a file is, it is of one format or of none.
func FuzzDataRecognise(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.name, s.whole)
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		if _, err := New().Recognise(inMemory(name, b)); err != nil {
			t.Error(err)
		}
	})
}
