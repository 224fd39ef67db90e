package validate

import (
	"strings"
	"testing"
)

// TestOpenSSL: what openssl writes. What is encrypted, and what someone else signed, may
// change unseen.
func TestOpenSSL(t *testing.T) {
	files := opensslFiles(t)
	for name, c := range map[string]struct {
		format Format
		keyDamage
	}{
		"rsa.key": {"pem-key", keyDamage{1, 5, 0}}, "rsa1.key": {"pem-key", keyDamage{1, 5, 0}},
		"ec.key": {"pem-key", keyDamage{1, 10, 0}}, "ec1.key": {"pem-key", keyDamage{3, 10, 0}},
		"ed.key": {"pem-key", keyDamage{1, 45, 0}}, "x.key": {"pem-key", keyDamage{1, 45, 0}},
		"ed448.key": {"pem-key", keyDamage{1, 70, 0}}, "k1.key": {"pem-key", keyDamage{1, 70, 0}},
		"rsa1s.key": {"pem-key", keyDamage{1, 95, 0}}, "rsas.key": {"pem-key", keyDamage{1, 95, 0}},
		"rsapub.pem": {"pem", keyDamage{1, 85, 0}}, "ca.crt": {"pem", keyDamage{1, 5, 0}},
		"catext.pem": {"pem", keyDamage{1, 75, 0}}, "trusted.pem": {"pem", keyDamage{1, 10, 0}},
		"ca.der": {"x509", keyDamage{0, 3, 0}}, "rsakey.der": {"x509", keyDamage{0, 2, 0}},
		"host.csr": {"pem", keyDamage{1, 5, 0}}, "host.crt": {"pem", keyDamage{1, 80, 0}}, "chain.pem": {"pem", keyDamage{1, 50, 0}},
		"host.p7b": {"pem", keyDamage{1, 85, 0}}, "new.p12": {"pkcs12", keyDamage{0, 97, 10}},
		"old.p12": {"pkcs12", keyDamage{0, 97, 10}}, "open.pfx": {"pkcs12", keyDamage{0, 75, 60}},
	} {
		t.Run(name, func(t *testing.T) {
			wantValid(t, c.format, inMemory(name, files[name]))
			harm(t, damages{c.format, name, files[name]}, c.keyDamage)
		})
	}
}

// TestJavaStore: Java's own PKCS #12.
func TestJavaStore(t *testing.T) {
	dir := runProgram(t, "keytool", strings.Fields("-genkeypair -keyalg EC -alias a -dname CN=a -storetype PKCS12 -storepass secret -keystore java.p12")...)
	wantValid(t, "pkcs12", inMemory("java.p12", readFile(t, dir, "java.p12")))
}
