package validate

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
)

// recogniseX509 takes DER under a name that says what it is.
func recogniseX509(name string, head []byte) bool {
	return hasSuffix(name, ".cer", ".crt", ".der") && len(head) > 2 && head[0] == 0x30 && head[1] > 0x80
}

// checkX509 looks at a file of DER: a certificate, or whatever else people call .der.
func checkX509(ctx context.Context, f File) error {
	der, err := f.whole(storeMax)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	if fault := berFault(der); fault != "" {
		return broken("x509", "it %s", fault)
	}
	fault := certificateFault(der)
	for _, label := range []string{"CERTIFICATE REQUEST", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY"} {
		if fault == "" || !hasSuffix(f.Name, ".der") {
			break
		}
		if _, other := derContents(label, der); other == "" && strictDER(label, der) {
			return nil
		}
	}
	if fault == "" {
		return nil
	}
	return broken("x509", "it %s", fault)
}

// strictDER tells whether DER really is what a label says: keys of a kind that is not
// known are otherwise let pass.
func strictDER(label string, der []byte) bool {
	var err error
	switch label {
	case "PRIVATE KEY":
		_, err = x509.ParsePKCS8PrivateKey(der)
	case "PUBLIC KEY":
		_, err = x509.ParsePKIXPublicKey(der)
	}
	return err == nil
}

// certificateFault tells what is wrong with a certificate. One that signs itself proves
// by that that no bit of it changed.
func certificateFault(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return "is no whole certificate"
	}
	if k, ok := c.PublicKey.(*rsa.PublicKey); !signsItself(c) || ok && k.N.BitLen() < 1024 {
		return "" // the library refuses to look at signatures of RSA keys so short
	}
	return signatureFault(c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature))
}

// signsItself tells whether a certificate names itself as its issuer, by its name or its
// key. An authority that changes its key has a certificate of its own name and of
// another key; the keys' identifiers are hashes then, and differ nearly everywhere,
// while a damaged one is like the other.
func signsItself(c *x509.Certificate) bool {
	ids := len(c.AuthorityKeyId) > 0 && len(c.AuthorityKeyId) == len(c.SubjectKeyId)
	if !ids {
		return bytes.Equal(c.RawIssuer, c.RawSubject)
	}
	same := 0
	for i := range c.SubjectKeyId {
		if c.SubjectKeyId[i] == c.AuthorityKeyId[i] {
			same++
		}
	}
	return same == len(c.SubjectKeyId) || bytes.Equal(c.RawIssuer, c.RawSubject) && 2*same >= len(c.SubjectKeyId)
}

// signatureFault tells a signature that does not fit from one that cannot be checked,
// because its algorithm is too old or too new.
func signatureFault(err error) string {
	var insecure x509.InsecureAlgorithmError
	if err == nil || errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm) {
		return ""
	}
	return "does not fit its own signature"
}

// trustedFault looks at what OpenSSL keeps in a TRUSTED CERTIFICATE: a certificate, and
// behind it what it is trusted for.
func trustedFault(der []byte) string {
	n := berLength(der)
	if n <= 0 {
		return "is cut short"
	}
	if n < len(der) {
		if fault := berFault(der[n:]); fault != "" {
			return "is followed by something that " + fault
		}
	}
	return certificateFault(der[:n])
}

func requestFault(der []byte) string {
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return "is no whole request"
	}
	return signatureFault(r.CheckSignature())
}

// publicKeyInfo is SubjectPublicKeyInfo of RFC 5280 section 4.1.
type publicKeyInfo struct {
	Algorithm algorithmID
	Key       asn1.BitString
}

type algorithmID struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

func publicKeyFault(der []byte) string {
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return ""
	}
	var info publicKeyInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || info.Algorithm.known() {
		return "is no whole key"
	}
	return ""
}

// known tells whether the standard library looks into keys of that algorithm, so that
// one that it refuses is broken. Of elliptic curves it knows those of NIST.
func (a algorithmID) known() bool {
	switch a.Algorithm.String() {
	case "1.2.840.113549.1.1.1", "1.3.101.112", "1.3.101.110":
		return true
	case "1.2.840.10045.2.1":
		var curve asn1.ObjectIdentifier
		rest, err := asn1.Unmarshal(a.Parameters.FullBytes, &curve)
		return err == nil && len(rest) == 0 && slices.Contains(nistCurves(), curve.String())
	}
	return false
}

func nistCurves() []string {
	return []string{"1.3.132.0.33", "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"}
}
