package validate

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"os/exec"
	"slices"
	"testing"
)

// fuzzKeys checks whatever comes as one of the formats. The outcome must be a verdict, the
// same one twice, and whatever is recognised must bear its check.
func fuzzKeys(t *testing.T, format Format, name string, b []byte) {
	f := inMemory(name, b)
	if _, err := New().Recognise(f); err != nil {
		t.Fatal(err)
	}
	err := New().Check(context.Background(), format, f)
	var invalid *Invalid
	if err != nil && !errors.As(err, &invalid) && !errors.Is(err, ErrNotJudged) {
		t.Fatalf("neither verdict nor doubt: %v", err)
	}
	again := New().Check(context.Background(), format, f)
	if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
		t.Fatalf("first %v, then %v", err, again)
	}
	if format.ByHand() && format != "pem" && len(b) > 0 && bytes.IndexByte(b, 0) >= 0 && err == nil {
		t.Fatal("NUL bytes in a text are valid")
	}
}

// fuzzFamily fuzzes some of the formats; the first byte chooses.
func fuzzFamily(f *testing.F, names map[Format]string) {
	var formats []Format
	for _, d := range keyFormats() {
		if _, ok := names[d.format]; ok {
			formats = append(formats, d.format)
		}
	}
	for _, s := range keySamples() {
		if i := slices.Index(formats, s.format); i >= 0 {
			f.Add(byte(i), s.whole)
		}
	}
	for i, format := range formats {
		for _, seed := range seedsOf(f, format) {
			f.Add(byte(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		format := formats[int(which)%len(formats)]
		fuzzKeys(t, format, names[format], b)
	})
}

// seedsOf are small files of programs, where they are installed; making them takes too
// long for a run that only goes through the seeds.
func seedsOf(f *testing.F, format Format) [][]byte {
	var files map[string][]byte
	if fuzzing := flag.Lookup("test.fuzz"); fuzzing == nil || fuzzing.Value.String() == "" {
		return nil
	}
	installed := func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}
	switch {
	case (format == "openssh-key" || format == "openssh-public") && installed("ssh-keygen"):
		files = sshKeys(f)
	case (format == "pem" || format == "x509" || format == "pkcs12") && installed("openssl"):
		files = opensslFiles(f)
	case format == "openpgp" && installed("gpg"):
		files = gpgFiles(f)
	}
	var seeds [][]byte
	for name, b := range files {
		if got, _ := New().Recognise(inMemory(name, b)); got == format || format == "openpgp" || format == "pem" && got == "pem-key" {
			seeds = append(seeds, b)
		}
	}
	return seeds
}

func FuzzNetworkFormats(f *testing.F) {
	fuzzFamily(f, map[Format]string{
		"networkmanager": "x.nmconnection", "wireguard": "wg0.conf", "wpa-supplicant": "wpa_supplicant.conf", "iwd": "x.psk",
	})
}

func FuzzAddressFormats(f *testing.F) {
	fuzzFamily(f, map[Format]string{"vcard": "x.vcf", "icalendar": "x.ics"})
}

func FuzzOpenSSHFormats(f *testing.F) {
	fuzzFamily(f, map[Format]string{
		"openssh-key": "id", "openssh-public": "id.pub", "authorized-keys": "authorized_keys", "known-hosts": "known_hosts",
	})
}

func FuzzPEM(f *testing.F) {
	fuzzFamily(f, map[Format]string{"pem": "x.ovpn", "pem-key": "x.key"})
}

func FuzzDERFormats(f *testing.F) {
	fuzzFamily(f, map[Format]string{"x509": "x.der", "pkcs12": "x.p12"})
}

func FuzzGnuPGFormats(f *testing.F) {
	fuzzFamily(f, map[Format]string{"openpgp": "x.gpg", "keybox": "pubring.kbx", "gnupg-key": "x.key"})
}

// FuzzDERContents goes behind the Base64 that keeps a fuzzer out.
func FuzzDERContents(f *testing.F) {
	labels := []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
		"PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE", "CERTIFICATE REQUEST", "TRUSTED CERTIFICATE", "X509 CRL"}
	f.Add(byte(0), []byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		block := pemBlock{format: "pem", label: labels[int(which)%len(labels)], line: 1, body: b}
		_, err := pemContents(block)
		var invalid *Invalid
		if err != nil && !errors.As(err, &invalid) {
			t.Fatal(err)
		}
	})
}

// FuzzOpenSSHContents goes behind the Base64 as well.
func FuzzOpenSSHContents(f *testing.F) {
	none := sshString("none", "none", "")
	f.Add(slices.Concat([]byte(opensshMagic), none, []byte{0, 0, 0, 1}, sshString("ssh-ed25519", "private")))
	for _, text := range seedsOf(f, "openssh-key") {
		f.Add(opensshBlob(f, text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := "-----BEGIN " + opensshLabel + "-----\n" + base64.StdEncoding.EncodeToString(b) + "\n-----END " + opensshLabel + "-----\n"
		fuzzKeys(t, "openssh-key", "id", []byte(text))
	})
}

// FuzzBER: what is found whole can be gone through, and is as long as it says.
func FuzzBER(f *testing.F) {
	f.Add([]byte("\x30\x80\x04\x01a\x00\x00"))
	f.Add([]byte("\x30\x06\x30\x80\x00\x00\x05\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := berLength(b)
		if n > len(b) {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
		e, rest, ok := berNext(b)
		if ok != (n > 0) || ok && len(rest) != len(b)-n {
			t.Fatalf("%d bytes, and %d left of %d", n, len(rest), len(b))
		}
		if ok && e.constructed {
			berAll(e.contents)
		}
	})
}

// FuzzSexp: no expression goes beyond its bytes.
func FuzzSexp(f *testing.F) {
	f.Add([]byte("(private-key (ecc (curve \"NIST P-256\")(q #04 0a#)(d |AAAA|))) 3:abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &sexpReader{b: b}
		for {
			if _, ok := r.node(); !ok {
				break
			}
		}
		if r.at > len(b) {
			t.Fatalf("at %d of %d", r.at, len(b))
		}
		gnupgFault("x", b)
	})
}
