package detect_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"image"
	"image/png"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// newKnowingPhone is a phone whose contents are examined, with one file of each
// kind in each class.
func newKnowingPhone(t *testing.T) *phone {
	t.Helper()
	p := newPhone(t)
	p.scan = scan.New(p.space, func() time.Time { return time.Now().Add(time.Hour) }, detect.Examiner())
	for _, c := range userdata.Classes() {
		for name, body := range samples(t) {
			p.write(string(c)+"/"+name, body)
		}
	}
	p.save()
	return p
}

// save makes what lies there now the reference.
func (p *phone) save() {
	p.t.Helper()
	now := p.look()
	p.ref = detect.Reference{Manifest: now.Manifest, Seen: now.Cache}
}

const keyfile = "[connection]\nid=home\nuuid=8f1f3a52-2a9e-4c5a-9a37-0c3f5f2f6c11\ntype=ethernet\n\n[ipv4]\nmethod=auto\n"

func samples(t *testing.T) map[string]string {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 40, 40))); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintf(&lines, "line %d of a text\n", i)
	}
	return map[string]string{
		"home.nmconnection": keyfile,
		"notes.txt":         lines.String(),
		"set.json":          "{\n \"a\": [1, 2, 3],\n \"b\": \"" + strings.Repeat("x", 200) + "\"\n}\n",
		"picture.png":       picture.String(),
		"blob.bin":          noise(t, 3000),
	}
}

func noise(t *testing.T, n int) string {
	t.Helper()
	b := make([]byte, n)
	rand.Read(b)
	b[0] = 0x01 // nothing that has a magic number
	return string(b)
}

// change rewrites a file of every class.
func (p *phone) change(name string, how func(string) string) {
	p.t.Helper()
	for _, c := range userdata.Classes() {
		raw, err := os.ReadFile(p.path(string(c) + "/" + name))
		p.must(err)
		p.write(string(c)+"/"+name, how(string(raw)))
	}
}

// expectAll checks that the only findings are those of one file in each class.
func (p *phone) expectAll(name string, verdict detect.Verdict, reason string) {
	p.t.Helper()
	report := p.judge()
	if len(report.Findings) != len(userdata.Classes()) {
		p.t.Errorf("%s: %d findings: %+v", name, len(report.Findings), report.Findings)
	}
	for _, f := range report.Findings {
		if !strings.HasSuffix(string(f.Name), "/"+name) || f.Verdict != verdict || !strings.Contains(f.Reason, reason) {
			p.t.Errorf("%s: got %+v, want %s because of %q", name, f, verdict, reason)
		}
	}
}

func TestContentsOfEveryKind(t *testing.T) {
	cut := func(n int) func(string) string { return func(s string) string { return s[:n] } }
	at := func(i int, with string) func(string) string {
		return func(s string) string { return s[:i] + with + s[i+len(with):] }
	}
	for _, c := range []struct {
		name    string
		how     func(string) string
		verdict detect.Verdict
		reason  string
	}{
		{"notes.txt", cut(700), detect.Corrupted, "cut short"},
		{"notes.txt", func(s string) string { return s[:strings.LastIndex(s[:700], "\n")+1] }, detect.Changed, "differ"},
		{"notes.txt", func(string) string { return "without an end" }, detect.Changed, "differ"},
		{"notes.txt", at(512, strings.Repeat("\x00", 512)), detect.Corrupted, "blocks of NUL"},
		{"notes.txt", at(300, "\x01\x02\x03\x04"), detect.Corrupted, "no text has"},
		{"notes.txt", func(string) string { return "gr\xfc\xdfe in Latin-1\n" }, detect.Changed, "differ"},
		{"notes.txt", func(string) string { return strings.Repeat("\x00", 900) }, detect.Corrupted, "NUL"},
		{"set.json", cut(100), detect.Corrupted, "cut short"},
		{"set.json", func(s string) string { return strings.Replace(s, "[1,", "[1,,", 1) }, detect.Changed, "no valid json any more"},
		{"set.json", func(string) string { return "{}\n" }, detect.Changed, "differ"},
		{"home.nmconnection", cut(40), detect.Corrupted, "cut short"},
		{"home.nmconnection", func(s string) string { return strings.Replace(s, "auto", "manual", 1) }, detect.Changed, "differ"},
		{"picture.png", cut(60), detect.Corrupted, "valid png"},
		{"picture.png", at(45, "\xff\xff"), detect.Corrupted, "valid png"},
		{"picture.png", func(string) string { return noise(t, 2000) }, detect.Corrupted, "valid png"},
		{"blob.bin", cut(1000), detect.Corrupted, "cut short"},
		{"blob.bin", func(string) string { return noise(t, 2500) }, detect.Changed, "differ"},
	} {
		p := newKnowingPhone(t)
		p.change(c.name, c.how)
		p.expectAll(c.name, c.verdict, c.reason)
	}
}

// TestWithoutTheLastLineEnd: many programs write none, and nothing is lost with it.
func TestWithoutTheLastLineEnd(t *testing.T) {
	less := func(n int) func(string) string { return func(s string) string { return s[:len(s)-n] } }
	with := func(tail string) func(string) string { return func(s string) string { return s + tail } }
	for _, c := range []struct {
		name     string
		was, how func(string) string
		verdict  detect.Verdict
		reason   string
	}{
		{"notes.txt", with(""), less(1), detect.Changed, "differ"},
		{"set.json", with(""), less(1), detect.Changed, "differ"},
		{"home.nmconnection", with(""), less(1), detect.Changed, "differ"},
		{"notes.txt", with("of another system\r\n"), less(2), detect.Changed, "differ"},
		{"notes.txt", with("\n\n"), less(3), detect.Changed, "differ"},
		{"notes.txt", with(""), less(8), detect.Corrupted, "cut short"},
		{"set.json", with(""), less(3), detect.Corrupted, "cut short"},
		{"notes.txt", func(s string) string { return s[:1026] + "\n" }, less(3), detect.Corrupted, "cut short"}, // at a block
	} {
		p := newKnowingPhone(t)
		p.change(c.name, c.was)
		p.save()
		p.change(c.name, c.how)
		p.expectAll(c.name, c.verdict, c.reason)
	}
}

func TestMoved(t *testing.T) {
	p := newKnowingPhone(t)
	for _, c := range userdata.Classes() {
		dir := string(c) + "/"
		p.must(os.Rename(p.path(dir+"notes.txt"), p.path(dir+"Notes.txt")))
		p.must(os.Rename(p.path(dir+"sub"), p.path(dir+"other")))
		p.must(os.Remove(p.path(dir + "home.nmconnection")))
		p.write(dir+"house.nmconnection", strings.Replace(keyfile, "id=home", "id=house", 1))
	}
	if d := p.judge().Damaged(); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

// TestSymlinkInThePlaceOfAMovedDirectory: what was moved, and is still found through the
// old name, is not lost.
func TestSymlinkInThePlaceOfAMovedDirectory(t *testing.T) {
	p := newKnowingPhone(t)
	p.write("keys/sub/deep/d", "more that lies in it")
	p.save()
	p.must(os.Rename(p.path("keys/sub"), p.path("keys/other")))
	p.must(os.Symlink("other", p.path("keys/sub")))
	if d := p.judge().Damaged(); len(d) != 0 {
		t.Errorf("moved: %+v", d)
	}
	p.must(os.Remove(p.path("keys/other/c")))
	p.expect(p.judge(), "keys/other changed", "keys/other/deep changed", "keys/other/deep/d changed",
		"keys/sub corrupted", "keys/sub/c erased", "keys/sub/deep changed", "keys/sub/deep/d changed")
}

func TestRenamedAndChanged(t *testing.T) {
	p := newKnowingPhone(t)
	p.must(os.Rename(p.path("keys/notes.txt"), p.path("keys/renamed")))
	f, err := os.OpenFile(p.path("keys/renamed"), os.O_APPEND|os.O_WRONLY, 0)
	p.must(err)
	_, err = f.WriteString("one more line\n")
	p.must(err)
	p.must(f.Close())
	p.expect(p.judge(), "keys/notes.txt changed", "keys/renamed changed")
}

// TestMovedAndThenRewritten edits a file at its new place so that nothing is left of
// what it was: what was found moved before stays moved, until that place is empty.
func TestMovedAndThenRewritten(t *testing.T) {
	p := newKnowingPhone(t)
	p.must(os.Rename(p.path("keys/notes.txt"), p.path("keys/renamed")))
	p.ref.Moved = p.judge().Moved
	if p.ref.Moved["keys/notes.txt"] != "keys/renamed" {
		t.Fatalf("moved: %v", p.ref.Moved)
	}
	p.write("keys/renamed", "nothing of what it was\n")
	p.expect(p.judge(), "keys/notes.txt changed", "keys/renamed changed")
	p.must(os.Remove(p.path("keys/renamed")))
	p.expect(p.judge(), "keys/notes.txt erased")
}

// TestLostKeyBesideANewOne: all keys of a curve begin alike.
func TestLostKeyBesideANewOne(t *testing.T) {
	p := newKnowingPhone(t)
	p.write("keys/one.pem", ecKey(t))
	p.save()
	p.must(os.Remove(p.path("keys/one.pem")))
	p.write("keys/two.pem", ecKey(t))
	p.expect(p.judge(), "keys/one.pem erased", "keys/two.pem changed")
}

func ecKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestNewKeyIsNoVersionOfALostOne has a file whose first bytes every file of its
// kind has.
func TestNewKeyIsNoVersionOfALostOne(t *testing.T) {
	p := newKnowingPhone(t)
	head := strings.Repeat("the same in all of them ", 4)
	p.write("keys/one", head+noise(t, 900))
	p.save()
	p.must(os.Remove(p.path("keys/one")))
	p.write("keys/two", head+noise(t, 900))
	p.expect(p.judge(), "keys/one erased", "keys/two changed")
}

func TestMovedAndChangedByACopy(t *testing.T) {
	p := newKnowingPhone(t)
	raw, err := os.ReadFile(p.path("keys/notes.txt"))
	p.must(err)
	p.write("keys/renamed", strings.Replace(string(raw), "line 90 of", "line XC of", 1))
	p.must(os.Remove(p.path("keys/notes.txt")))
	p.expect(p.judge(), "keys/notes.txt changed", "keys/renamed changed")
}

func TestPackedAndUnpacked(t *testing.T) {
	p := newKnowingPhone(t)
	pack := func(from, to string) {
		raw, err := os.ReadFile(p.path(from))
		p.must(err)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err = z.Write(raw)
		p.must(err)
		p.must(z.Close())
		p.write(to, b.String())
	}
	pack("keys/notes.txt", "keys/notes.txt.gz")
	p.must(os.Remove(p.path("keys/notes.txt")))
	pack("user-data/notes.txt", "user-data/notes.txt.1.gz")
	p.write("user-data/notes.txt", "")
	if d := p.judge().Damaged(); len(d) != 0 {
		t.Errorf("packed: %+v", d)
	}
	p.save()
	p.must(os.Remove(p.path("keys/notes.txt.gz")))
	p.write("keys/notes.txt", "what was in it\n")
	if d := p.judge().Damaged(); len(d) != 0 {
		t.Errorf("unpacked: %+v", d)
	}
}

func TestMovedToAnotherRoot(t *testing.T) {
	p := newKnowingPhone(t)
	p.must(os.Rename(p.path("keys/blob.bin"), p.path("user-data/moved")))
	p.expect(p.judge(), "keys/blob.bin changed", "user-data/moved changed")
}

func TestLogsShift(t *testing.T) {
	p := newKnowingPhone(t)
	for i, n := range []string{"log.2", "log.1", "log"} {
		p.write("service-books/"+n, fmt.Sprintf("what was logged on day %d\n", i))
	}
	p.save()
	p.must(os.Rename(p.path("service-books/log.1"), p.path("service-books/log.2")))
	p.must(os.Rename(p.path("service-books/log"), p.path("service-books/log.1")))
	p.expect(p.judge(), "service-books/log changed", "service-books/log.1 changed", "service-books/log.2 changed")
}

func TestRealLossBesideAMove(t *testing.T) {
	p := newKnowingPhone(t)
	p.write("keys/sub/d", "more contents that are lost")
	p.save()
	p.must(os.MkdirAll(p.path("keys/other"), 0o755))
	p.must(os.Rename(p.path("keys/sub/c"), p.path("keys/other/c")))
	p.must(os.RemoveAll(p.path("keys/sub")))
	p.expect(p.judge(), "keys/other changed", "keys/other/c changed", "keys/sub erased", "keys/sub/c changed", "keys/sub/d erased")
}

func TestCopiedAwayAndEmptied(t *testing.T) {
	p := newKnowingPhone(t)
	raw, err := os.ReadFile(p.path("user-data/notes.txt"))
	p.must(err)
	p.write("user-data/notes.txt.1", string(raw))
	p.write("user-data/notes.txt", "")
	p.expect(p.judge(), "user-data/notes.txt changed", "user-data/notes.txt.1 changed")
}

func TestFilesThatComeAndGo(t *testing.T) {
	names := []string{".#lk0x1", "known_hosts.old", "db-wal", ".a.swp", ".a.txt.Xy12Zq", "x~", "index.lock"}
	p := newKnowingPhone(t)
	for _, n := range names {
		p.write("keys/"+n, "contents of "+n)
	}
	p.save()
	for _, n := range names {
		p.must(os.Remove(p.path("keys/" + n)))
	}
	if d := p.judge().Damaged(); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestMassLoss(t *testing.T) {
	p := newKnowingPhone(t)
	for i := range 60 {
		p.write(fmt.Sprintf("user-data/many/%02d", i), fmt.Sprintf("a photograph, say, number %d", i))
	}
	p.save()
	for i := range 40 {
		p.must(os.Remove(p.path(fmt.Sprintf("user-data/many/%02d", i))))
	}
	if d := p.judge().Damaged(); len(d) != 0 {
		t.Errorf("40 of 68: %+v", d)
	}
	for i := 40; i < 58; i++ {
		p.must(os.Remove(p.path(fmt.Sprintf("user-data/many/%02d", i))))
	}
	if d := p.judge().Damaged(); len(d) != 58 {
		t.Errorf("58 of 68: %d", len(d))
	}
}

func TestManyGaveWayToNoise(t *testing.T) {
	// A whole OpenPGP message (RFC 9580): a passphrase's packet, and what it encrypts.
	sealed := "\xc3\x0d\x04\x07\x03\x08saltsalt\x60" + "\xd2\xff\x00\x00\x13\x88\x01" + noise(t, 4999)
	var n scan.Nature
	detect.Examiner()(t.Context(), scan.Contents{Name: "keys/x.gpg", Size: int64(len(sealed)), Data: strings.NewReader(sealed)}, &n)
	if n.Kind != "openpgp" || n.Broken != "" {
		t.Fatalf("no whole message: %+v", n)
	}
	for _, c := range []struct {
		n, damaged int
		ext, body  string
	}{{3, 0, ".locked", noise(t, 5000)}, {12, 12, ".locked", noise(t, 5000)}, {12, 12, ".gpg", sealed}} {
		p := newKnowingPhone(t)
		for i := range 20 {
			p.write(fmt.Sprintf("user-data/%02d.txt", i), fmt.Sprintf("text number %d\n", i))
		}
		p.save()
		for i := range c.n {
			name := fmt.Sprintf("user-data/%02d.txt", i)
			p.must(os.Remove(p.path(name)))
			p.write(name+c.ext, c.body)
		}
		if d := p.judge().Damaged(); len(d) != c.damaged {
			t.Errorf("%d files: %d damaged: %+v", c.n, len(d), d)
		}
	}
}

func TestOpenedPrivateKey(t *testing.T) {
	p := newKnowingPhone(t)
	p.must(os.Chmod(p.path("service-books/home.nmconnection"), 0o644))
	p.must(os.Chmod(p.path("user-data/home.nmconnection"), 0o644))
	p.must(os.Chmod(p.path("keys/notes.txt"), 0o644))
	p.expect(p.judge(), "keys/notes.txt changed", "service-books/home.nmconnection corrupted", "user-data/home.nmconnection changed")
	p.must(os.Chmod(p.path("service-books/home.nmconnection"), 0o400))
	p.must(os.Chmod(p.path("keys/notes.txt"), 0o600))
	p.must(os.Chmod(p.path("user-data/home.nmconnection"), 0o600))
	p.expect(p.judge(), "service-books/home.nmconnection changed")
}

func TestNotMounted(t *testing.T) {
	p := newKnowingPhone(t)
	p.ref.Mounts = map[string]string{"user-data": p.path("user-data")}
	p.ref.Mounted = map[userdata.Name]bool{"keys/sub": true}
	p.expect(p.judge()) // all is there: it was moved to the file system below
	p.must(os.RemoveAll(p.path("user-data")))
	p.must(os.RemoveAll(p.path("keys/sub/c")))
	report := p.judge()
	if d := report.Damaged(); len(d) != 0 || !report.Unmounted["user-data"] {
		t.Errorf("%+v, unmounted %v", d, report.Unmounted)
	}
	p.must(os.MkdirAll(p.path("user-data"), 0o755))
	if d := p.judge().Damaged(); len(d) != 0 {
		t.Errorf("an empty mount point: %+v", d)
	}
}

// TestNotMountedAndCopiedElsewhere: what lies in another root says nothing of whether a
// file system is mounted.
func TestNotMountedAndCopiedElsewhere(t *testing.T) {
	for _, mountPointStays := range []bool{true, false} {
		p := newKnowingPhone(t)
		p.ref.Mounts = map[string]string{"keys": p.path("keys")}
		p.ref.Moved = map[userdata.Name]userdata.Name{"keys/notes.txt": "preferences/was-notes"}
		p.write("preferences/was-notes", "edited since")
		raw, err := os.ReadFile(p.path("keys/blob.bin"))
		p.must(err)
		p.write("user-data/copy.bin", string(raw))
		p.must(os.RemoveAll(p.path("keys")))
		if mountPointStays {
			p.must(os.Mkdir(p.path("keys"), 0o755))
		}
		report := p.judge()
		if d := report.Damaged(); len(d) != 0 || !report.Unmounted["keys"] {
			t.Errorf("mount point there %v: %+v, unmounted %v", mountPointStays, d, report.Unmounted)
		}
		p.ref.Mounts = nil // it was no mount point
		if d := p.judge().Damaged(); len(d) == 0 {
			t.Error("a root that was emptied is no loss")
		}
	}
}

// TestLostState judges by the manifest alone, as a device does that has only the
// reader's.
func TestLostState(t *testing.T) {
	p := newKnowingPhone(t)
	p.ref.Seen = scan.Cache{}
	p.change("picture.png", func(s string) string { return s[:60] })
	p.expectAll("picture.png", detect.Corrupted, "valid png")
}

func TestPEMKeyBroken(t *testing.T) {
	p := newKnowingPhone(t)
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(noise(t, 500))})
	p.write("keys/x.pem", string(block)) // valid PEM of an invalid certificate
	var n scan.Nature
	if detect.Examiner()(context.Background(), contents(p, "keys/x.pem"), &n); n.Kind == "" || n.Broken == "" {
		t.Errorf("got %+v", n)
	}
}

func contents(p *phone, name string) scan.Contents {
	p.t.Helper()
	raw, err := os.ReadFile(p.path(name))
	p.must(err)
	return scan.Contents{Name: userdata.Name(name), Size: int64(len(raw)), Data: bytes.NewReader(raw)}
}

// TestTooLargeToJudge lets a valid file grow beyond what its validator looks at.
func TestTooLargeToJudge(t *testing.T) {
	p := newPhone(t)
	p.scan = scan.New(p.space, func() time.Time { return time.Now().Add(time.Hour) }, detect.Examiner())
	trailer := append(make([]byte, 6), 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9)
	small := "bplist00\x09\x08" + string(trailer)
	for _, c := range userdata.Classes() {
		p.write(string(c)+"/settings.plist", small)
	}
	p.save()
	if kind := p.look().Nature("keys/settings.plist").Kind; !strings.Contains(kind, "plist") {
		t.Fatalf("it was taken for %q", kind)
	}
	p.change("settings.plist", func(s string) string { return s[:8] + noise(t, 9<<20) + s[8:] })
	p.expectAll("settings.plist", detect.Changed, "differ")
	p.change("settings.plist", func(s string) string { return strings.Repeat("\x00", len(s)) })
	p.expectAll("settings.plist", detect.Corrupted, "NUL")
}
