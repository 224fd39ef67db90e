package validate

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// makeByPython writes files with Python's own modules.
const makeByPython = `
import json, plistlib, zipfile, tarfile, configparser, datetime, io, gzip, xml.etree.ElementTree as E
value = {"name": "Änne", "list": [1, -2.5, True, None, "\u2028"], "nested": [[{"x": {}}]] * 20, "long": "z" * 5000}
json.dump(value, open("a.json", "w"))
json.dump(value, open("b.json", "w"), indent=1, ensure_ascii=False)
plain = {"a": 1, "neg": -5, "big": 2**40, "f": 1.5, "s": "ascii", "u": "Ünïcode", "d": b"\0" * 300, "t": datetime.datetime(2026, 1, 1), "l": [True, False, {"k": []}] , "uid": plistlib.UID(3)}
plistlib.dump(plain, open("b.plist", "wb"), fmt=plistlib.FMT_BINARY)
plistlib.dump({str(i): ["v%d" % i, i] for i in range(300)}, open("c.plist", "wb"), fmt=plistlib.FMT_BINARY)
del plain["uid"]; plistlib.dump(plain, open("x.plist", "wb"))
c = configparser.ConfigParser(allow_no_value=True); c["one"] = {"a": "1", "b": "multi\nline"}; c["two"] = {"flag": None}; c.write(open("a.ini", "w"))
z = zipfile.ZipFile("a.docx", "w", zipfile.ZIP_DEFLATED); z.writestr("[Content_Types].xml", "<Types/>"); z.writestr("word/document.xml", "<w/>" * 3000); z.close()
z = zipfile.ZipFile("stored.zip", "w"); z.writestr("a", "text"); z.writestr("b/", ""); z.close()
z = zipfile.ZipFile("streamed.zip", "w", zipfile.ZIP_DEFLATED)
with z.open("a", "w", force_zip64=True) as w: w.write(b"x" * 9999)
z.close(); zipfile.ZipFile("empty.zip", "w").close()
t = tarfile.open("a.tar", "w"); t.add("a.json"); t.add("b.plist"); t.close()
t = tarfile.open("b.tgz", "w:gz"); t.add("a.json"); t.close()
gzip.open("c.gz", "wb").write(b"data" * 9999)
r = E.Element("r"); E.SubElement(r, "c", k="v & w").text = "tëxt"; E.ElementTree(r).write("a.xml", encoding="utf-8", xml_declaration=True)
E.ElementTree(r).write("latin.xml", encoding="iso-8859-1", xml_declaration=True)
`

// TestProgramsFiles: what real programs write is recognised and whole.
func TestProgramsFiles(t *testing.T) {
	dir := runProgram(t, "python3", "-c", makeByPython)
	for name, format := range map[string]Format{
		"a.json": "json", "b.json": "json", "b.plist": "bplist", "c.plist": "bplist", "x.plist": "plist",
		"a.ini": "ini", "a.docx": "zip", "stored.zip": "zip", "streamed.zip": "zip", "empty.zip": "zip",
		"a.tar": "tar", "b.tgz": "gzip", "c.gz": "gzip", "a.xml": "xml", "latin.xml": "xml",
	} {
		b := readFile(t, dir, name)
		wantValid(t, format, inMemory(name, b))
		if strings.HasSuffix(name, ".plist") && format == "bplist" {
			damages{format, name, b}.report(t, 0, 80, 60)
			continue
		}
		if _, err := New().Recognise(inMemory(name, b)); err != nil {
			t.Error(err)
		}
	}
	// Programs turn property lists from one kind into the other.
	if err := checkBytes(t, "plist", "b.plist", readFile(t, dir, "b.plist")); err != nil {
		t.Errorf("a binary property list that was one in XML: %v", err)
	}
	if err := checkBytes(t, "bplist", "x.plist", readFile(t, dir, "x.plist")); err != nil {
		t.Errorf("a property list in XML that was a binary one: %v", err)
	}
}

func TestProgramsPack(t *testing.T) {
	for _, c := range []struct {
		format Format
		args   []string
	}{
		{"gzip", []string{"gzip", "-9", "a"}},
		{"gzip", []string{"tar", "-czf", "a.gz", "a"}},
		{"tar", []string{"tar", "-cf", "a.gz", "a"}},
		{"zip", []string{"zip", "-q", "a.gz", "a"}},
		{"zip", []string{"zip", "-q", "-P", "secret", "a.gz", "a"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a"), append(noise(3000), make([]byte, 9000)...), 0o600); err != nil {
				t.Fatal(err)
			}
			p := exec.Command(program(t, c.args[0]), c.args[1:]...)
			p.Dir = dir
			if out, err := p.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			name := "a.gz"
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				name += ".zip"
			}
			b := readFile(t, dir, name)
			wantValid(t, c.format, inMemory(name, b))
			if m, all := (damages{c.format, name, b}).cut(t); len(m)*2 > all {
				t.Errorf("cuts missed: %d of %d", len(m), all)
			}
		})
	}
}

// TestProgramsGVDB: dconf's format as GLib's own compilers write it, and the same in the
// other order of bytes where GLib's tools are installed.
func TestProgramsGVDB(t *testing.T) {
	program(t, "glib-compile-schemas")
	dir := t.TempDir()
	var keys strings.Builder
	for i := range 40 {
		fmt.Fprintf(&keys, `<key name="key-%d" type="as"><default>['a%d', 'b']</default></key>`, i, i)
	}
	schema := `<schemalist><schema id="org.example.a" path="/org/example/a/">` + keys.String() + `</schema></schemalist>`
	if err := os.WriteFile(filepath.Join(dir, "org.example.gschema.xml"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("glib-compile-schemas", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := readFile(t, dir, "gschemas.compiled")
	wantValid(t, "gvdb", inMemory("gschemas.compiled", b))
	damages{"gvdb", "gschemas.compiled", b}.report(t, 0, 60, 10)
}

// TestProgramsDconf makes a user's database where dconf is installed.
func TestProgramsDconf(t *testing.T) {
	program(t, "dconf")
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.d")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "a"), []byte("[org/example]\na='text'\nb=[1,2]\n[org/other]\nc=true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "user")
	if b, err := exec.Command("dconf", "compile", out, keys).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	b := readFile(t, out)
	wantValid(t, "gvdb", inMemory("user", b))
	damages{"gvdb", "user", b}.report(t, 0, 40, 0)
}

// TestProgramsPDF: what librsvg and Cairo write.
func TestProgramsPDF(t *testing.T) {
	rsvg := program(t, "rsvg-convert")
	svg := `<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><text x="9" y="50">Text</text><rect width="40" height="30"/></svg>`
	for _, format := range []string{"pdf", "png", "svg"} {
		path := filepath.Join(t.TempDir(), "a."+format)
		p := exec.Command(rsvg, "-f", format, "-o", path)
		p.Stdin = strings.NewReader(svg)
		if out, err := p.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b := readFile(t, path)
		if format == "svg" {
			wantValid(t, "xml", inMemory("a.svg", b))
			continue
		}
		wantValid(t, Format(format), inMemory("a."+format, b))
		damages{Format(format), "a." + format, b}.report(t, 0, 60, 10)
	}
}

// TestPicturesOfGo: pictures that Go's own tests decode, progressive ones among them.
func TestPicturesOfGo(t *testing.T) {
	out, err := exec.Command(program(t, "go"), "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no Go tree: ", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "src/image/testdata")
	paths, err := filepath.Glob(filepath.Join(dir, "video-*"))
	if err != nil || len(paths) == 0 {
		t.Skip("no pictures in ", dir)
	}
	for _, path := range paths {
		b := readFile(t, path)
		format := Format(strings.TrimPrefix(filepath.Ext(path), "."))
		wantValid(t, format, inMemory(filepath.Base(path), b))
		for n := 0; n < len(b); n += len(b)/12 + 1 {
			if err := checkBytes(t, format, "a", b[:n]); !isInvalid(err) {
				t.Errorf("%s cut at %d: %v", path, n, err)
			}
		}
	}
}

// TestJPEGTail: what follows a photograph, as a motion photo's film does, is not the
// photograph's fault; a missing part between two restarts is.
func TestJPEGTail(t *testing.T) {
	for _, s := range samples(t) {
		if s.format == "jpeg" {
			wantValid(t, "jpeg", inMemory("a.jpg", append(bytes.Clone(s.whole), noise(999)...)))
		}
	}
}

func TestGzipTail(t *testing.T) {
	b := sampleGzip(t)
	wantValid(t, "gzip", inMemory("a.gz", append(bytes.Clone(b), make([]byte, 999)...)))
	if err := checkBytes(t, "gzip", "a.gz", append(bytes.Clone(b), "junk"...)); !isInvalid(err) {
		t.Errorf("junk at the end: %v", err)
	}
}

// TestPDFTail: readers bear a little junk at the end, but not a change cut short.
func TestPDFTail(t *testing.T) {
	b := samplePDF()
	wantValid(t, "pdf", inMemory("a.pdf", append(bytes.Clone(b), bytes.Repeat([]byte("\n"), 1000)...)))
	if err := checkBytes(t, "pdf", "a.pdf", append(bytes.Clone(b), "7 0 obj\n<< /A 1"...)); !isInvalid(err) {
		t.Errorf("with half a change: %v", err)
	}
}

// TestFilesOfThisMachine looks at files that are lying about, of programs of all kinds:
// none is found broken.
func TestFilesOfThisMachine(t *testing.T) {
	seen := 0
	for _, pattern := range []string{
		"/usr/share/applications/*.desktop", "/usr/share/glib-2.0/schemas/gschemas.compiled", "/usr/share/mime/*.xml",
		"/usr/share/icons/hicolor/*/apps/*", "/usr/share/pixmaps/*", "/usr/share/doc/*/*.gz", "/usr/share/dbus-1/interfaces/*.xml",
		"/usr/share/polkit-1/actions/*", "/etc/*.conf", "/etc/*/*.conf", "/etc/*/*.toml", "/etc/*/*.json", "/usr/share/fontconfig/conf.avail/*",
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths[:min(len(paths), 20)] {
			if s, err := os.Stat(path); err != nil || !s.Mode().IsRegular() || s.Size() == 0 || s.Size() > 1<<20 {
				continue
			}
			f := inMemory(filepath.Base(path), readFile(t, path))
			format, err := New().Recognise(f)
			if err != nil || format == "" {
				continue
			}
			seen++
			if err := New().Check(context.Background(), format, f); isInvalid(err) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	t.Logf("%d files", seen)
}
