package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"

	"image"
)

// format is a kind of contents, and what makes the i-th file of it. Its name is
// that of the directory, too.
type format struct {
	name string
	make func(rnd *rand.Rand, i int) ([]made, error)
}

// formats are the formats that need no other program.
func formats() []format {
	return []format{
		{"text", one("note-%d.txt", 0o644, func(r *rand.Rand, i int) []byte { return prose(r, 2500+300*i) })},
		{"long", one("story-%d.txt", 0o644, func(r *rand.Rand, i int) []byte { return prose(r, 40_000+700*i) })},
		{inner, one("spare-%d.txt", 0o644, func(r *rand.Rand, i int) []byte { return prose(r, 800) })},
		{"twin", one("log-%d.txt", 0o644, func(r *rand.Rand, i int) []byte { return prose(r, 9000) })},
		{"diary", one("day-%d.md", 0o644, func(r *rand.Rand, i int) []byte { return prose(r, 900+11*i) })},
		{"binary", one("sample-%d.bin", 0o644, func(r *rand.Rand, i int) []byte { return garbage(r, 24_000+512*i) })},
		{"json", one("display-%d.json", 0o644, jsonFile)},
		{"yaml", one("rota-%d.yaml", 0o644, yamlFile)},
		{"toml", one("lamp-%d.toml", 0o644, tomlFile)},
		{"ini", one("clock-%d.ini", 0o644, iniFile)},
		{"xml", one("chart-%d.xml", 0o644, xmlFile)},
		{"plist", one("horn-%d.plist", 0o644, plistFile)},
		{"desktop", one("keeper-%d.desktop", 0o644, desktopFile)},
		{"nm", one("harbour-%d.nmconnection", 0o600, keyfile)},
		{"wireguard", one("office-%d.conf", 0o600, wireguard)},
		{"vcard", one("crew-%d.vcf", 0o644, vcard)},
		{"ical", one("tides-%d.ics", 0o644, ical)},
		{"png", one("chart-%d.png", 0o644, pngFile)},
		{"jpeg", one("boat-%d.jpg", 0o644, jpegFile)},
		{"zip", one("log-%d.zip", 0o644, zipFile)},
		{"gzip", one("log-%d.txt.gz", 0o644, gzipFile)},
		{"pdf", one("manual-%d.pdf", 0o644, pdfFile)},
		{"ssh", sshPair},
		{"pem", pemKey},
		{"x509", certificate},
		{"box", box},
		{"ledger", ledgers},
	}
}

// one makes a format of single files of a function for the contents.
func one(name string, mode uint32, data func(*rand.Rand, int) []byte) func(*rand.Rand, int) ([]made, error) {
	return func(rnd *rand.Rand, i int) ([]made, error) {
		return []made{{fmt.Sprintf(name, i), data(rnd, i), fileMode(mode)}}, nil
	}
}

// ledgers are some files of a format that nobody knows, neither text nor noise.
func ledgers(_ *rand.Rand, i int) ([]made, error) {
	var files []made
	for j := range 5 {
		page := fmt.Sprintf("\x01\x00\x07entry %02d-%02d\x00\x00\x02", i, j)
		files = append(files, made{fmt.Sprintf("book-%d/page-%d.ledger", i, j), []byte(strings.Repeat(page, 250)), 0o644})
	}
	return files, nil
}

// box is a directory with some files in it.
func box(rnd *rand.Rand, i int) ([]made, error) {
	var files []made
	for j := range 3 {
		files = append(files, made{fmt.Sprintf("box-%d/slip-%d.txt", i, j), prose(rnd, 700), 0o644})
	}
	return files, nil
}

func words() []string {
	return strings.Fields(`lamp tide harbour keeper wind lens oil fog bell rope gull storm chart buoy
		anchor north watch evening the and of with under before slowly brass stair window night signal`)
}

// prose is about size bytes of lines of words.
func prose(rnd *rand.Rand, size int) []byte {
	var b bytes.Buffer
	for all := words(); b.Len() < size; {
		for range 8 + rnd.IntN(6) {
			b.WriteString(all[rnd.IntN(len(all))])
			b.WriteByte(' ')
		}
		b.Truncate(b.Len() - 1)
		b.WriteString(".\n")
	}
	return b.Bytes()
}

// garbage is bytes that no compressor makes smaller.
func garbage(rnd *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func secret(rnd *rand.Rand, n int) string { return base64.StdEncoding.EncodeToString(garbage(rnd, n)) }

func jsonFile(rnd *rand.Rand, i int) []byte {
	type station struct {
		Name   string    `json:"name"`
		Text   string    `json:"text"`
		Lit    bool      `json:"lit"`
		Depths []float64 `json:"depths"`
	}
	var all []station
	for n := range 60 + i {
		all = append(all, station{
			Name: fmt.Sprintf("station %d", n), Text: string(prose(rnd, 150)),
			Lit: n%2 == 0, Depths: []float64{rnd.Float64(), rnd.Float64(), rnd.Float64()},
		})
	}
	b, err := json.MarshalIndent(map[string]any{"version": i, "stations": all}, "", "  ")
	if err != nil { // never: the values are plain
		return nil
	}
	return append(b, '\n')
}

func yamlFile(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "rota: %d\nwatches:\n", i)
	for n := range 90 {
		fmt.Fprintf(&b, "  - keeper: \"keeper %d\"\n    hours: [%d, %d]\n    note: %s\n", n, n%24, (n+4)%24, bytes.TrimSpace(prose(rnd, 40)))
	}
	return b.Bytes()
}

func tomlFile(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "title = \"lamp %d\"\n", i)
	for n := range 80 {
		fmt.Fprintf(&b, "\n[[lamp]]\nname = \"lamp %d\"\npower = %d\nnote = %q\n", n, rnd.IntN(900), bytes.TrimSpace(prose(rnd, 30)))
	}
	return b.Bytes()
}

func iniFile(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	for n := range 60 + i {
		fmt.Fprintf(&b, "[alarm-%d]\ntime=%02d:%02d\nsound=bell\nlabel=%s\n\n", n, rnd.IntN(24), rnd.IntN(60), bytes.TrimSpace(prose(rnd, 30)))
	}
	return b.Bytes()
}

func xmlFile(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<chart number=\"%d\">\n", i)
	for n := range 100 {
		fmt.Fprintf(&b, "  <buoy id=\"%d\"><depth>%d</depth><text>%s</text></buoy>\n", n, rnd.IntN(90), bytes.TrimSpace(prose(rnd, 30)))
	}
	b.WriteString("</chart>\n")
	return b.Bytes()
}

func plistFile(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" " +
		"\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n")
	for n := range 90 {
		fmt.Fprintf(&b, "\t<key>horn-%d-%d</key>\n\t<string>%s</string>\n", i, n, bytes.TrimSpace(prose(rnd, 30)))
	}
	b.WriteString("</dict>\n</plist>\n")
	return b.Bytes()
}

func desktopFile(_ *rand.Rand, i int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "[Desktop Entry]\nType=Application\nVersion=1.5\nName=Keeper %d\nExec=keeper --lamp %d %%U\nIcon=keeper\nTerminal=false\n", i, i)
	for n := range 60 {
		fmt.Fprintf(&b, "\n[Desktop Action watch-%d]\nName=Watch %d\nExec=keeper --watch %d\n", n, n, n)
	}
	return b.Bytes()
}

func keyfile(rnd *rand.Rand, i int) []byte {
	u := garbage(rnd, 16)
	return fmt.Appendf(nil, "[connection]\nid=Harbour %d\nuuid=%x-%x-4%03x-a%03x-%x\ntype=wifi\nautoconnect-priority=%d\n\n"+
		"[wifi]\nmode=infrastructure\nssid=Harbour %d\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=%s\n\n"+
		"[ipv4]\nmethod=auto\n\n[ipv6]\naddr-gen-mode=default\nmethod=auto\n",
		i, u[:4], u[4:6], int(u[6])<<2, int(u[7])<<2, u[8:14], i, i, secret(rnd, 15))
}

func wireguard(rnd *rand.Rand, i int) []byte {
	return fmt.Appendf(nil, "[Interface]\nPrivateKey = %s\nAddress = 192.0.2.%d/24\nDNS = 192.0.2.1\n\n"+
		"[Peer]\nPublicKey = %s\nPresharedKey = %s\nEndpoint = vpn.example.org:51820\nAllowedIPs = 198.51.100.0/24, 203.0.113.0/24\n",
		secret(rnd, 32), i+1, secret(rnd, 32), secret(rnd, 32))
}

func vcard(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	for n := range 20 {
		fmt.Fprintf(&b, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Crew %d %d\r\nN:%d;Crew;;;\r\nTEL;TYPE=CELL:+00 000 %04d\r\nNOTE:%s\r\nEND:VCARD\r\n",
			i, n, n, rnd.IntN(10000), bytes.TrimSpace(prose(rnd, 40)))
	}
	return b.Bytes()
}

func ical(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Lighthouse//Tides//EN\r\n")
	for n := range 25 {
		fmt.Fprintf(&b, "BEGIN:VEVENT\r\nUID:tide-%d-%d@lighthouse.example\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:202601%02dT0%d0000Z\r\nSUMMARY:%s\r\nEND:VEVENT\r\n",
			i, n, n+1, rnd.IntN(10), bytes.TrimSpace(prose(rnd, 30)))
	}
	b.WriteString("END:VCALENDAR\r\n")
	return b.Bytes()
}

func painting(rnd *rand.Rand, size int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.SetRGBA(x, y, color.RGBA{byte(3*x) ^ byte(rnd.Uint32()), byte(2 * y), byte(x * y), 255})
		}
	}
	return img
}

func pngFile(rnd *rand.Rand, _ int) []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, painting(rnd, 70)) // a Buffer takes everything
	return b.Bytes()
}

func jpegFile(rnd *rand.Rand, _ int) []byte {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, painting(rnd, 110), &jpeg.Options{Quality: 90})
	return b.Bytes()
}

func zipFile(rnd *rand.Rand, i int) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for n := range 4 {
		if f, err := w.Create(fmt.Sprintf("watch-%d-%d.txt", i, n)); err == nil {
			_, _ = f.Write(prose(rnd, 6000))
		}
	}
	_ = w.Close()
	return b.Bytes()
}

func gzipFile(rnd *rand.Rand, _ int) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(prose(rnd, 20_000))
	_ = w.Close()
	return b.Bytes()
}
