package validate

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inMemory is a file of these bytes, with no neighbour.
func inMemory(name string, b []byte) File {
	return File{Name: name, Size: int64(len(b)), Data: bytes.NewReader(b)}
}

// inDirectory is a file with those neighbours.
func inDirectory(name string, files map[string][]byte) File {
	f := inMemory(name, files[name])
	f.Beside = func(other string) (File, error) {
		b, ok := files[other]
		if !ok {
			return File{}, fs.ErrNotExist
		}
		return inMemory(other, b), nil
	}
	return f
}

func checkBytes(t testing.TB, format Format, name string, b []byte) error {
	t.Helper()
	return checkFile(t, format, inMemory(name, b))
}

// checkFile checks, and fails the test on an error that is neither verdict nor doubt.
func checkFile(t testing.TB, format Format, f File) error {
	t.Helper()
	err := New().Check(context.Background(), format, f)
	var invalid *Invalid
	if err != nil && !errors.As(err, &invalid) && !errors.Is(err, ErrNotJudged) {
		t.Fatalf("check of %s as %s: %v", f.Name, format, err)
	}
	if invalid != nil && invalid.Reason == "" {
		t.Fatalf("no reason for %s", f.Name)
	}
	return err
}

func isInvalid(err error) bool {
	var invalid *Invalid
	return errors.As(err, &invalid)
}

// isNoText tells whether the reason is bytes that no editor writes.
func isNoText(err error) bool {
	var invalid *Invalid
	return errors.As(err, &invalid) && (strings.Contains(invalid.Reason, "NUL bytes in line") ||
		strings.Contains(invalid.Reason, "no UTF-8 in line") || strings.Contains(invalid.Reason, "control characters"))
}

// wantValid asks that a file is recognised and found whole.
func wantValid(t *testing.T, format Format, f File) {
	t.Helper()
	if got, err := New().Recognise(f); got != format || err != nil {
		t.Errorf("%s is recognised as %q, %v, not %q", f.Name, got, err, format)
	}
	if err := checkFile(t, format, f); err != nil {
		t.Errorf("%s: %v", f.Name, err)
	}
}

// program gives the path of a program; the test is skipped where it is not installed.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a program in a new directory and gives the directory.
func runProgram(t testing.TB, name string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command(program(t, name), args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("cannot run %s: %v\n%s", name, err, out)
	}
	return dir
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// damages counts what a check finds of the damages that are done to a file.
type damages struct {
	format Format
	name   string
	whole  []byte
}

// cut cuts the file short at up to 200 places and gives how many cuts were missed.
func (d damages) cut(t testing.TB) (missed []int, all int) {
	step := max(1, len(d.whole)/200)
	for n := 0; n < len(d.whole); n += step {
		all++
		if checkBytes(t, d.format, d.name, d.whole[:n]) == nil {
			missed = append(missed, n)
		}
	}
	return missed, all
}

// flip turns one bit at up to 200 places.
func (d damages) flip(t testing.TB) (missed []int, all int) {
	step := max(1, len(d.whole)/200)
	for n := 0; n < len(d.whole); n += step {
		b := bytes.Clone(d.whole)
		b[n] ^= 1 << (n % 8)
		all++
		if checkBytes(t, d.format, d.name, b) == nil {
			missed = append(missed, n)
		}
	}
	return missed, all
}

// zero blanks a block of size bytes at each of its multiples.
func (d damages) zero(t testing.TB, size int) (missed []int, all int) {
	for n := 0; n < len(d.whole); n += size {
		b := bytes.Clone(d.whole)
		clear(b[n:min(n+size, len(b))])
		if bytes.Equal(b, d.whole) {
			continue
		}
		all++
		if checkBytes(t, d.format, d.name, b) == nil {
			missed = append(missed, n)
		}
	}
	return missed, all
}

// report does all damages and fails when more of a kind is missed than allowed,
// in percent.
func (d damages) report(t *testing.T, cut, flip, zero int) {
	t.Helper()
	if err := checkBytes(t, d.format, d.name, d.whole); err != nil {
		t.Fatalf("%s as it is: %v", d.name, err)
	}
	say := func(kind string, missed []int, all, allowed int) {
		t.Helper()
		t.Logf("%-8s %-22s %-5s found %3d of %3d", d.format, d.name, kind, all-len(missed), all)
		if len(missed)*100 > allowed*all {
			t.Errorf("%s: %d of %d damages of kind %s were missed: at %v", d.name, len(missed), all, kind, missed)
		}
	}
	m, all := d.cut(t)
	say("cut", m, all, cut)
	m, all = d.flip(t)
	say("flip", m, all, flip)
	m, all = d.zero(t, 512)
	say("zero", m, all, zero)
}

func TestDataFormatsAreTold(t *testing.T) {
	seen := map[Format]bool{}
	for _, d := range dataFormats() {
		if d.format == "" || d.recognise == nil || d.check == nil || seen[d.format] {
			t.Errorf("the definition of %q is not whole, or there twice", d.format)
		}
		seen[d.format] = true
	}
}

func TestDataRecognise(t *testing.T) {
	for _, c := range []struct {
		name, head string
		want       Format
	}{
		{"a.json", `{"a":1}`, "json"},
		{"settings.json", "// settings\n{}", "json"},
		{"a.json", "hello", ""},
		{"a.jsonl", "{}\n{}", "jsonl"},
		{"a.yaml", "a: 1", "yaml"},
		{"a.yml", "\x00\x00", ""},
		{"a.toml", "a = 1", "toml"},
		{"a.ini", "; c\n[s]\na=1", "ini"},
		{"a.conf", "server {\n}", ""},
		{"a.conf", "Host *\n[s]\n", ""},
		{"a.cfg", "[1, 2]\n", ""},
		{"a.xml", "<a/>", "xml"},
		{"a", "<?xml version='1.0'?><a/>", "xml"},
		{"a.xml", "a: 1", ""},
		{"a.plist", `<?xml version="1.0"?><plist version="1.0"/>`, "plist"},
		{"a.desktop", "# c\n[Desktop Entry]\n", "desktop"},
		{"a.desktop", "bytes", ""},
		{"a.pdf", "junk%PDF-1.4", "pdf"},
		{"a", "junk%PDF-1.4", ""},
		{"a.txt", "hello", ""},
		{"a.db", "SQLite format 3\x00", "sqlite"},
		{"a.zip", "hello", ""},
		{"a.mov", "\x00\x00\x00\x14ftypqt  ", "mp4"},
		{"a.webp", "RIFF\x00\x00\x00\x00WAVE", ""},
	} {
		if got, err := New().Recognise(inMemory(c.name, []byte(c.head))); got != c.want || err != nil {
			t.Errorf("%s beginning with %q: %q, %v; want %q", c.name, c.head, got, err, c.want)
		}
	}
}

// brokenDisk fails to read from an offset on.
type brokenDisk struct {
	*bytes.Reader
	from int64
}

var errDisk = errors.New("input/output error")

func (b brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errDisk
	}
	return b.Reader.ReadAt(p, off)
}

// TestDataReadErrors: a disk that cannot be read is no verdict on the format.
func TestDataReadErrors(t *testing.T) {
	for _, s := range samples(t) {
		f := inMemory(s.name, s.whole)
		f.Data = brokenDisk{bytes.NewReader(s.whole), 0}
		if err := New().Check(context.Background(), s.format, f); !errors.Is(err, errDisk) || isInvalid(err) {
			t.Errorf("%s on a broken disk: %v", s.format, err)
		}
	}
}

func TestDataContextEnds(t *testing.T) {
	for _, s := range samples(t) {
		ctx, cancel := context.WithCancel(context.Background())
		f := inMemory(s.name, s.whole)
		f.Data = endsContext{bytes.NewReader(s.whole), cancel}
		if err := New().Check(ctx, s.format, f); isInvalid(err) {
			t.Errorf("%s after its context ended: %v", s.format, err)
		}
	}
}

// endsContext ends a context at the first read.
type endsContext struct {
	*bytes.Reader
	cancel context.CancelFunc
}

func (e endsContext) ReadAt(p []byte, off int64) (int, error) {
	e.cancel()
	return e.Reader.ReadAt(p, off)
}

// TestDataReasonsHoldNoContents looks for a secret in what is said of files that
// are full of it.
func TestDataReasonsHoldNoContents(t *testing.T) {
	secret := "hunter2hunter2"
	for name, contents := range map[string]string{
		"a.json":    `{"hunter2hunter2": hunter2hunter2}`,
		"a.jsonl":   `"hunter2hunter2" hunter2hunter2`,
		"a.yaml":    "hunter2hunter2: *hunter2hunter2\n",
		"b.yaml":    "a: !hunter2hunter2!x 1\nb: \"\\hunter2hunter2\n",
		"a.toml":    "hunter2hunter2 = hunter2hunter2",
		"b.toml":    "hunter2hunter2 = 1\nhunter2hunter2 = 2",
		"a.ini":     "[a]\nx=hunter2hunter2\n[hunter2hunter2",
		"a.xml":     "<hunter2hunter2 hunter2hunter2></x>",
		"b.xml":     "<a>&hunter2hunter2;</a>",
		"c.xml":     "<?xml version='hunter2hunter2'?><a></a>",
		"d.xml":     "<?xml version='1.0' encoding='hunter2hunter2'?><a></a>",
		"a.plist":   "<?xml version='1.0'?><plist><hunter2hunter2/></plist>",
		"a.desktop": "[Desktop Entry]\nhunter2hunter2\n",
	} {
		f := inMemory(name, []byte(contents))
		format, err := New().Recognise(f)
		if err != nil || format == "" {
			t.Fatalf("%s: %q, %v", name, format, err)
		}
		err = New().Check(context.Background(), format, f)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
