package validate

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"strings"
)

// checkPEMKey looks at a file that begins with a private key, and at whether a public key
// of OpenSSH that lies beside it is its own.
func checkPEMKey(ctx context.Context, f File) error {
	var public []byte
	err := eachPEM(ctx, f, "pem-key", func(b pemBlock) error {
		own, err := pemContents(b)
		if public == nil {
			public = own
		}
		return err
	})
	if err != nil {
		return err
	}
	return besideSSH(f, "pem-key", public)
}

// checkPEM looks at certificates, requests, public keys, and profiles of OpenVPN.
func checkPEM(ctx context.Context, f File) error {
	err := eachPEM(ctx, f, "pem", func(b pemBlock) error {
		_, err := pemContents(b)
		return err
	})
	if err == nil && hasSuffix(f.Name, ".ovpn") {
		err = openVPNTags(ctx, f)
	}
	return err
}

// pemContents looks into a block. It gives the public key in OpenSSH's wire format when
// the block is a private key that it could look into.
func pemContents(b pemBlock) (public []byte, err error) {
	if info, ok := b.header("DEK-Info"); ok {
		return nil, pemEncrypted(b, info)
	}
	if b.label == opensshLabel {
		found, err := opensshKey(b.format, b.body)
		return found.public, err
	}
	if !derLabel(b.label) {
		return nil, nil
	}
	if fault := berFault(b.body); fault != "" && b.label != "TRUSTED CERTIFICATE" {
		return nil, broken(b.format, "the %s of line %d %s", strings.ToLower(b.label), b.line, fault)
	}
	public, fault := derContents(b.label, b.body)
	if fault != "" {
		return nil, broken(b.format, "the %s of line %d %s", strings.ToLower(b.label), b.line, fault)
	}
	return public, nil
}

// derLabel tells whether a block of that label is in DER.
func derLabel(label string) bool {
	switch label {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST",
		"X509 CRL", "PUBLIC KEY", "RSA PUBLIC KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY",
		"EC PRIVATE KEY", "DSA PRIVATE KEY", "EC PARAMETERS", "DH PARAMETERS", "X9.42 DH PARAMETERS",
		"DSA PARAMETERS", "PKCS7", "CMS", "PKCS #7 SIGNED DATA", "ATTRIBUTE CERTIFICATE":
		return true
	}
	return false
}

func derContents(label string, der []byte) (public []byte, fault string) {
	switch label {
	case "CERTIFICATE", "X509 CERTIFICATE":
		return nil, certificateFault(der)
	case "TRUSTED CERTIFICATE":
		return nil, trustedFault(der)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return nil, requestFault(der)
	case "PUBLIC KEY":
		return nil, publicKeyFault(der)
	case "RSA PUBLIC KEY":
		if _, err := x509.ParsePKCS1PublicKey(der); err != nil {
			return nil, "is no RSA key"
		}
	case "PRIVATE KEY":
		return pkcs8Contents(der)
	case "ENCRYPTED PRIVATE KEY":
		return nil, pkcs8SealedFault(der)
	case "RSA PRIVATE KEY":
		return pkcs1Contents(der)
	case "EC PRIVATE KEY":
		return sec1Contents(nil, der)
	case "DSA PRIVATE KEY":
		return dsaContents(der)
	}
	return nil, ""
}

// pemEncrypted looks at a block that is encrypted in the way of old: "AES-256-CBC,IV".
func pemEncrypted(b pemBlock, info string) error {
	cipher, iv, _ := strings.Cut(info, ",")
	size := 16
	if strings.HasPrefix(cipher, "DES") {
		size = 8
	}
	raw, err := hex.DecodeString(strings.TrimSpace(iv))
	mode := strings.HasSuffix(cipher, "-CBC")
	switch {
	case cipher == "" || strings.Trim(cipher, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" || err != nil || len(raw) != size:
		return broken(b.format, "what tells how the block of line %d is encrypted is broken", b.line)
	case mode && len(b.body)%size != 0:
		return broken(b.format, "the encrypted block of line %d does not have whole blocks", b.line)
	case zeroRun(b.body, sealedZeros) >= 0:
		return broken(b.format, "the encrypted block of line %d holds a run of NUL bytes", b.line)
	}
	return nil
}

// openVPNTags looks at whether each part of a profile that is kept inline, "<ca>", ends.
func openVPNTags(ctx context.Context, f File) error {
	open, at := "", 0
	err := f.text(ctx, "pem").eachLine(func(n int, line string) error {
		line = strings.TrimSpace(line)
		switch {
		case open != "" && line == "</"+open+">":
			open = ""
		case open == "" && strings.HasPrefix(line, "</"):
			return broken("pem", "the part that ends in line %d does not begin", n)
		case open == "" && strings.HasPrefix(line, "<"):
			name, ok := strings.CutSuffix(line[1:], ">")
			if !ok {
				return broken("pem", "the mark in line %d does not end", n)
			}
			open, at = name, n
		}
		return nil
	})
	if err == nil && open != "" {
		err = broken("pem", "the part that begins in line %d does not end", at)
	}
	return err
}
