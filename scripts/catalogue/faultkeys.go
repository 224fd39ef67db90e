package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	mrand "math/rand/v2"
	"time"

	"golang.org/x/crypto/ssh"
)

func fileMode(m uint32) fs.FileMode { return fs.FileMode(m) }

// sshPair is a private key and its public one, made anew: it unlocks nothing.
func sshPair(_ *mrand.Rand, i int) ([]made, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "keeper@lighthouse")
	if err != nil {
		return nil, err
	}
	pub, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	line := append(bytes.TrimSpace(ssh.MarshalAuthorizedKey(pub)), " keeper@lighthouse\n"...)
	name := fmt.Sprintf("id_%d", i)
	return []made{{name, pem.EncodeToMemory(block), 0o600}, {name + ".pub", line, 0o644}}, nil
}

// identity is a private key and a certificate for it, both as PEM.
func identity(rnd *mrand.Rand, i int) (key, cert []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	like := x509.Certificate{
		SerialNumber: big.NewInt(rnd.Int64()), Subject: pkix.Name{CommonName: fmt.Sprintf("lighthouse %d", i)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * 365 * time.Hour),
		DNSNames: []string{"lamp.lighthouse.example", "horn.lighthouse.example"},
	}
	signed, err := x509.CreateCertificate(rand.Reader, &like, &like, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), nil
}

func pemKey(rnd *mrand.Rand, i int) ([]made, error) {
	key, _, err := identity(rnd, i)
	return []made{{fmt.Sprintf("vpn-%d.pem", i), key, 0o600}}, err
}

func certificate(rnd *mrand.Rand, i int) ([]made, error) {
	_, cert, err := identity(rnd, i)
	return []made{{fmt.Sprintf("vpn-%d.crt", i), cert, 0o644}}, err
}

// pdfFile is a document of one page, with a table of where its objects lie.
func pdfFile(rnd *mrand.Rand, i int) []byte {
	text := prose(rnd, 3000)
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(text), text),
		fmt.Sprintf("<< /Title (Manual %d) >>", i),
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	var at []int
	for n, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", n+1, o)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, table)
	return b.Bytes()
}
