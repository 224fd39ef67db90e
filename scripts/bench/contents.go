package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// bookName is the name of a service book: a NetworkManager connection, or every fourth one
// of WireGuard.
func bookName(i int) string {
	return fmt.Sprintf("service-books/net%03d.%s", i, []string{"nmconnection", "nmconnection", "conf", "nmconnection"}[i%4])
}

func (g *generator) uuid() string {
	b := g.bytes(16)
	return fmt.Sprintf("%x-%x-4%x-a%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (g *generator) secret(n int) string { return base64.StdEncoding.EncodeToString(g.bytes(n)) }

// word cuts a word out of the generator's text.
func (g *generator) word() string {
	at := g.IntN(len(g.words) - 32)
	return string(bytes.Fields([]byte(g.words[at : at+32]))[1])
}

func (g *generator) book(i int) []byte {
	switch i % 4 {
	case 2:
		b := fmt.Appendf(nil, "[Interface]\nPrivateKey = %s\nAddress = 10.%d.%d.2/32\nListenPort = %d\n", g.secret(32), g.IntN(256), g.IntN(256), 1024+g.IntN(60000))
		for range 1 + g.IntN(12) {
			b = fmt.Appendf(b, "\n[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = 10.%d.%d.0/24\nEndpoint = %s.example:%d\n",
				g.secret(32), g.secret(32), g.IntN(256), g.IntN(256), g.word(), 1024+g.IntN(60000))
		}
		return b
	case 3:
		b := fmt.Appendf(nil, "[connection]\nid=vpn%d\nuuid=%s\ntype=vpn\nautoconnect=false\n\n[vpn]\n", i, g.uuid())
		for n := range 4 + g.IntN(40) {
			b = fmt.Appendf(b, "%s-%d=%s\n", g.word(), n, g.word())
		}
		return fmt.Appendf(b, "service-type=org.freedesktop.NetworkManager.openvpn\n\n[vpn-secrets]\npassword=%s\n\n[ipv4]\nmethod=auto\n", g.secret(15))
	}
	b := fmt.Appendf(nil, "[connection]\nid=net%d\nuuid=%s\ntype=wifi\ntimestamp=%d\n\n[wifi]\nmode=infrastructure\nssid=net%d\nseen-bssids=",
		i, g.uuid(), 1_700_000_000+g.IntN(1e7), i)
	for range g.IntN(30) {
		b = fmt.Appendf(b, "%X:", g.bytes(6))
	}
	return fmt.Appendf(b, "\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=%s\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n", g.secret(18))
}

// key is an Ed25519 key, or something as long as an RSA or PGP key in armour.
func (g *generator) key(i int) []byte {
	if i%2 == 0 {
		der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(g.bytes(ed25519.SeedSize)))
		if err == nil {
			return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		}
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: g.bytes(1000 + g.IntN(1600))})
}

// prose is words.
func (g *generator) prose(size int) []byte {
	b := make([]byte, size)
	at := g.IntN(len(g.words))
	for n := 0; n < size; at = 0 {
		n += copy(b[n:], g.words[at:])
	}
	return b
}

// user is noise, as pictures are, or text of one of four kinds.
func (g *generator) user(i, size int) []byte {
	if i%2 == 1 {
		b := g.bytes(size)
		copy(b, "\xff\xd8\xff\xe0\x00\x10JFIF\x00")
		return b
	}
	line := func() []byte { return nil }
	at := 1_700_000_000 + g.IntN(1e7)
	switch i / 2 % 4 {
	case 0:
		return g.prose(size)
	case 1:
		line = func() []byte {
			at += g.IntN(90)
			return fmt.Appendf(nil, "%d kernel[%d]: %s=%d %s\n", at, g.IntN(4000), g.word(), g.IntN(1e5), g.word())
		}
	case 2:
		line = func() []byte {
			return fmt.Appendf(nil, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:%s\r\nFN:%s %s\r\nTEL:+49%d\r\nEND:VCARD\r\n", g.uuid(), g.word(), g.word(), g.IntN(1e9))
		}
	case 3:
		line = func() []byte {
			at += g.IntN(900)
			return fmt.Appendf(nil, `{"id":"%x","ts":%d,"from":"%s","body":"%s"}`+"\n", g.bytes(8), at, g.word(), bytes.ReplaceAll(g.prose(20+g.IntN(150)), []byte("\n"), []byte(" ")))
		}
	}
	var b []byte
	for len(b) < size {
		b = append(b, line()...)
	}
	return b[:size]
}

// databases is how many there are of SQLite.
const databases = 10

// databases writes them with the sqlite3 tool, the first one of 20 MB, and returns their bytes.
// Without the tool there are files of noise in their place.
func (g *generator) databases(dir string) (made int64, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("cannot write the tree: %w", err)
	}
	tool, missing := exec.LookPath("sqlite3")
	for i, size := range []int{20e6, 15e6, 12e6, 10e6, 9e6, 8e6, 7e6, 6e6, 5e6, 5e6} {
		file := filepath.Join(dir, fmt.Sprintf("app%d.sqlite", i))
		if missing != nil {
			err = write(file[:len(file)-len(".sqlite")]+".bin", g.bytes(size))
			made += int64(size)
		} else {
			var n int64
			n, err = g.database(tool, file, size)
			made += n
		}
		if err != nil {
			return made, err
		}
	}
	return made, nil
}

// database writes one of about so many bytes: messages, and two indexes of them.
func (g *generator) database(tool, file string, size int) (int64, error) {
	var b bytes.Buffer
	b.WriteString("PRAGMA page_size=4096; PRAGMA synchronous=OFF;\n" +
		"CREATE TABLE msg(id INTEGER PRIMARY KEY, uid TEXT, ts INTEGER, who TEXT, body TEXT, att BLOB);\nBEGIN;\n")
	for i, n := 0, 0; n < size*85/100; i++ {
		body, att := bytes.ReplaceAll(g.prose(40+g.IntN(120)), []byte("\n"), []byte(" ")), ""
		if i%8 == 0 {
			att = fmt.Sprintf("%x", g.bytes(100+g.IntN(900)))
		}
		fmt.Fprintf(&b, "INSERT INTO msg VALUES(%d,'%s',%d,'%s','%s',X'%s');\n", i, g.uuid(), 1_700_000_000+37*i, g.word(), body, att)
		n += len(body) + len(att)/2 + 110
	}
	b.WriteString("COMMIT;\nCREATE INDEX msg_uid ON msg(uid);\nCREATE INDEX msg_who ON msg(who,ts);\n")
	cmd := exec.Command(tool, "-batch", file)
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot make a database: %w: %s", err, bytes.TrimSpace(out))
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, fmt.Errorf("cannot make a database: %w", err)
	}
	return info.Size(), nil
}
