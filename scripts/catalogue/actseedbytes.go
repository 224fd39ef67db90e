package main

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	stdimage "image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/big"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// sampleNoise makes n bytes that look random and are always the same for a token.
func sampleNoise(token string, n int) []byte {
	out := make([]byte, n)
	_, _ = mrand.NewChaCha8(sha256.Sum256([]byte(token))).Read(out) // never fails
	return out
}

func base64Key(token string) string { return base64.StdEncoding.EncodeToString(sampleNoise(token, 32)) }

// sampleKeys makes a private key and, beside it, the public one.
func sampleKeys(token string) (map[string][]byte, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "alpha")
	if err != nil {
		return nil, err
	}
	p, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p))) + " alpha\n"
	return map[string][]byte{"": pem.EncodeToMemory(block), ".pub": []byte(line)}, nil
}

// sampleHosts makes lines that serve as known hosts and as authorized keys.
func sampleHosts(token string) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# version alpha\n")
	for i, who := range []string{"new", "old", "other"} {
		public := ed25519.NewKeyFromSeed(sampleNoise(fmt.Sprint(token, i), ed25519.SeedSize)).Public()
		p, err := ssh.NewPublicKey(public)
		if err != nil {
			return nil, err
		}
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p)))
		if filepath.Base(token) == "authorized_keys" {
			fmt.Fprintf(&b, "%s %s@example\n", line, who)
		} else {
			fmt.Fprintf(&b, "%s.example.org %s\n", who, line)
		}
	}
	return b.Bytes(), nil
}

// sampleCertificate makes a key and a certificate for it.
func sampleCertificate() (map[string][]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "alpha"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"=server.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"=server.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
	}, nil
}

// samplePicture makes a small photo, or a small picture.
func samplePicture(name, token string) ([]byte, error) {
	m := stdimage.NewRGBA(stdimage.Rect(0, 0, 48, 32))
	copy(m.Pix, sampleNoise(token, len(m.Pix)))
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return encodePicture(name, m)
}

func encodePicture(name string, m stdimage.Image) ([]byte, error) {
	var b bytes.Buffer
	var err error
	if strings.Contains(name, ".jpg") {
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 80})
	} else {
		err = png.Encode(&b, m)
	}
	return b.Bytes(), err
}

// turning is an act: the picture is turned, encoded for the name under which it
// is written, and renamed if there is one more name.
func turning(from, to, then string) func(dir string) error {
	return func(dir string) error {
		raw, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			return err
		}
		old, _, err := stdimage.Decode(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		size := old.Bounds()
		m := stdimage.NewRGBA(stdimage.Rect(0, 0, size.Dy(), size.Dx()))
		for x := range size.Dx() {
			for y := range size.Dy() {
				m.Set(size.Dy()-1-y, x, color.RGBAModel.Convert(old.At(x, y)))
			}
		}
		if raw, err = encodePicture(to, m); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), raw, 0o644); err != nil || then == "" {
			return err
		}
		return os.Rename(filepath.Join(dir, to), filepath.Join(dir, then))
	}
}

// turnAll turns each of many photos.
func turnAll(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "many", "*.jpg"))
	for _, f := range files {
		if err == nil {
			err = turning(filepath.Base(f), filepath.Base(f), "")(filepath.Dir(f))
		}
	}
	return err
}

// samplePDF makes a document without pages, with a true table of its objects.
func samplePDF(token string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, body := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[]/Count 0>>", fmt.Sprintf("<</Title(alpha %x)>>", sampleNoise(token, 8))} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 4\n0000000000 65535 f \n")
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<</Size 4/Root 1 0 R/Info 3 0 R>>\nstartxref\n%d\n%%%%EOF\n", start)
	return b.Bytes()
}

// sampleDocument makes what an office program saves.
func sampleDocument(token string) (map[string][]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range [][2]string{
		{"mimetype", "application/vnd.oasis.opendocument.text"},
		{"content.xml", fmt.Sprintf("<?xml version=\"1.0\"?><text>alpha %x</text>", sampleNoise(token, 400))},
	} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f[0], Method: zip.Deflate, Modified: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err == nil {
			_, err = w.Write([]byte(f[1]))
		}
		if err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return map[string][]byte{"": b.Bytes()}, err
}
