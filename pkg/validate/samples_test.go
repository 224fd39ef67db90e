package validate

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// samples is one valid file of each format that needs no program to write it.
func samples(t testing.TB) []damages {
	t.Helper()
	return []damages{
		{"json", "a.json", []byte(sampleJSON())},
		{"jsonl", "a.jsonl", []byte(strings.Repeat(`{"a": [1, 2.5e3, "x"]}`+"\n", 50))},
		{"yaml", "a.yaml", []byte("a: 1\nb:\n  - x\n  - {y: z}\n---\nsecond: \"document\"\n")},
		{"toml", "a.toml", []byte("a = 1\n[b.c]\nd = [\"x\", 'y']\ne = {f = 2024-01-01}\n")},
		{"ini", "a.ini", []byte("; comment\n[section]\nkey = value\nother: x\nbare\n  continued\n[two]\n")},
		{"desktop", "a.desktop", []byte(sampleDesktop)},
		{"xml", "a.xml", []byte(sampleXML)},
		{"plist", "a.plist", []byte(samplePlist)},
		{"png", "a.png", encoded(t, png.Encode)},
		{"jpeg", "a.jpg", encoded(t, func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) })},
		{"gif", "a.gif", encoded(t, func(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) })},
		{"webp", "a.webp", sampleWebP()},
		{"mp4", "a.mp4", sampleMP4()},
		{"pdf", "a.pdf", samplePDF()},
		{"zip", "a.zip", sampleZip(t)},
		{"gzip", "a.gz", sampleGzip(t)},
		{"tar", "a.tar", sampleTar(t)},
	}
}

func sampleJSON() string {
	var b strings.Builder
	b.WriteString("{\n")
	for i := range 60 {
		fmt.Fprintf(&b, "  \"name %d\": [%d, -1.5e-3, true, null, \"ä\\u00e4\\n\", {}],\n", i, i)
	}
	return b.String() + "  \"end\": []\n}\n"
}

const sampleDesktop = `# a comment
[Desktop Entry]
Type=Application
Name=Editor
Name[de]=Schreiber für Texte
Exec=editor %U
X-KDE-Thing=1

[Desktop Action new]
Name = New
Exec=editor --new
`

const sampleXML = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE a [ <!ENTITY own "thing"> ]>
<!-- comment -->
<a xmlns:x="urn:x"><b k="v">text &amp; &own; ä</b><x:c/><![CDATA[<raw>]]></a>
`

const samplePlist = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>a</key><integer>1</integer>
	<key>b</key><array><string>x</string><true/><data>AAEC</data></array>
</dict>
</plist>
`

// picture has noise in it, so that it does not compress to nothing.
func picture() image.Image {
	r := rand.New(rand.NewPCG(1, 2))
	m := image.NewRGBA(image.Rect(0, 0, 96, 64))
	for y := range 64 {
		for x := range 96 {
			m.Set(x, y, color.RGBA{uint8(x * 2), uint8(y * 3), uint8(r.Uint32() & 0x3f), 255})
		}
	}
	return m
}

func encoded(t testing.TB, write func(w io.Writer, m image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, picture()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func sampleWebP() []byte {
	var b bytes.Buffer
	chunk := func(tag string, data []byte) {
		b.WriteString(tag)
		_ = binary.Write(&b, binary.LittleEndian, uint32(len(data)))
		b.Write(data)
		b.Write(make([]byte, len(data)%2))
	}
	chunk("VP8X", make([]byte, 10))
	chunk("VP8 ", noise(1001))
	chunk("EXIF", noise(100))
	head := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(b.Len()+4))...)
	return append(append(head, "WEBP"...), b.Bytes()...)
}

func sampleMP4() []byte {
	var b bytes.Buffer
	box := func(kind string, data []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(data)+8))
		b.WriteString(kind)
		b.Write(data)
	}
	box("ftyp", []byte("isom\x00\x00\x02\x00isomiso2"))
	box("mdat", noise(2000))
	box("moov", noise(300))
	return b.Bytes()
}

// samplePDF has a table, compressed and plain streams, and a later change with a
// stream in the table's place.
func samplePDF() []byte {
	var b bytes.Buffer
	places := map[int]int{}
	object := func(n int, body string) {
		places[n] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", n, body)
	}
	b.WriteString("%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
	object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	object(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
	object(3, "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>")
	packed := deflated([]byte(strings.Repeat("BT (some text) Tj ET\n", 20) + string(noise(600))))
	object(4, fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", len(packed), packed))
	object(5, "<< /Length 5 >>\nstream\nplain\nendstream")
	table := b.Len()
	b.WriteString("xref\n0 6\n0000000000 65535 f \n")
	for n := 1; n <= 5; n++ {
		fmt.Fprintf(&b, "%010d 00000 n \n", places[n])
	}
	fmt.Fprintf(&b, "trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", table)
	object(3, "<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>")
	stream := b.Len()
	rows := []byte{2, 1, byte(places[3] >> 8), byte(places[3]), 0, 2, 0, byte(stream>>8) - byte(places[3]>>8), byte(stream) - byte(places[3]), 0}
	rows = deflated(rows)
	fmt.Fprintf(&b, "6 0 obj\n<< /Type /XRef /Size 7 /W [1 2 1] /Index [3 1 6 1] /Root 1 0 R /Prev %d /Length %d"+
		" /Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 4 >> >>\nstream\n%s\nendstream\nendobj\n", table, len(rows), rows)
	fmt.Fprintf(&b, "startxref\n%d\n%%%%EOF\n", stream)
	return b.Bytes()
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close() // a buffer takes everything
	return out.Bytes()
}

func sampleZip(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, contents := range map[string][]byte{"word/document.xml": []byte(strings.Repeat("<w/>", 500)), "noise": noise(2000), "dir/": nil} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(contents); err != nil && contents != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sampleGzip(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	for range 2 {
		z := gzip.NewWriter(&b)
		if _, err := z.Write(noise(2000)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func sampleTar(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"a", "b"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 700, Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(noise(700)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSamples: every sample is recognised and whole; an empty file of a binary format
// is not; no damage makes a check panic, and each kind is found as often as the format
// allows. Allowed to miss, in percent: cut short, one bit, a block of zeros.
func TestSamples(t *testing.T) {
	allowed := map[Format][3]int{
		"json": {1, 100, 0}, "jsonl": {10, 100, 0}, "yaml": {100, 100, 0}, "toml": {100, 100, 0},
		"ini": {100, 100, 0}, "desktop": {100, 100, 0}, "xml": {1, 100, 0}, "plist": {1, 100, 0},
		"png": {0, 0, 0}, "jpeg": {0, 100, 100}, "gif": {0, 100, 100}, "webp": {0, 100, 100},
		"mp4": {50, 100, 100}, "pdf": {4, 50, 0}, "zip": {0, 15, 0}, "gzip": {1, 5, 0}, "tar": {20, 60, 70},
	}
	for _, s := range samples(t) {
		t.Run(string(s.format), func(t *testing.T) {
			wantValid(t, s.format, inMemory(s.name, s.whole))
			a := allowed[s.format]
			s.report(t, a[0], a[1], a[2])
			d, _ := New().find(s.format)
			if err := checkBytes(t, s.format, s.name, nil); err == nil && !d.byHand {
				t.Error("an empty file is valid")
			}
		})
	}
}

// TestSamplesNoText: in formats that people write, NULs and broken UTF-8 are told
// from mistakes.
func TestSamplesNoText(t *testing.T) {
	for _, s := range samples(t) {
		if d, _ := New().find(s.format); !d.byHand {
			continue
		}
		middle := len(s.whole) / 2
		for _, bad := range []string{"\x00", "\xc3\x28", "\xff"} {
			if s.format == "ini" && bad != "\x00" {
				continue
			}
			b := append(append(bytes.Clone(s.whole[:middle]), bad...), s.whole[middle:]...)
			if err := checkBytes(t, s.format, s.name, b); !isNoText(err) {
				t.Errorf("%s with %q: %v", s.format, bad, err)
			}
			// A mistake before it does not hide it.
			b = append([]byte("}]<"), b...)
			if err := checkBytes(t, s.format, s.name, b); !isNoText(err) {
				t.Errorf("%s with a mistake and %q: %v", s.format, bad, err)
			}
		}
		if err := checkBytes(t, s.format, s.name, []byte("[<mistake")); isNoText(err) {
			t.Errorf("%s with a mistake: %v", s.format, err)
		}
	}
}
