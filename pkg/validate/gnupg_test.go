package validate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGnuPG: what GnuPG writes. What is encrypted, and others' signatures and texts, may
// change unseen; so may less than 16 zeros, as at the end of a short message.
func TestGnuPG(t *testing.T) {
	files := gpgFiles(t)
	for name, allowed := range map[string]keyDamage{
		"public.gpg": {3, 10, 0}, "public.asc": {3, 5, 0}, "erika.gpg": {3, 12, 0}, "rita.gpg": {3, 8, 0}, "nils.gpg": {3, 12, 0},
		"vera.gpg": {3, 8, 0}, "secret.asc": {1, 8, 0}, "sealed.gpg": {3, 70, 0}, "message.gpg": {0, 97, 0}, "message.asc": {1, 8, 0},
		"password.gpg": {0, 97, 34}, "signed.gpg": {1, 60, 60}, "text.sig": {0, 95, 60}, "text.asc": {1, 100, 0},
		"bzip2.gpg": {1, 30, 5}, "zlib.gpg": {1, 30, 5},
	} {
		t.Run(name, func(t *testing.T) {
			wantValid(t, "openpgp", inMemory(name, files[name]))
			harm(t, damages{"openpgp", name, files[name]}, allowed)
		})
	}
	keys := 0
	for name, b := range files {
		if filepath.Ext(name) == ".rev" {
			wantValid(t, "openpgp", inMemory(name, b))
		}
		if filepath.Ext(name) == ".key" {
			keys++
			wantValid(t, "gnupg-key", inMemory(name, b))
			harm(t, damages{"gnupg-key", name, b}, keyDamage{cut: 2, flip: 75})
		}
	}
	if keys != 6 {
		t.Errorf("only %d private keys", keys)
	}
	wantValid(t, "keybox", inMemory("pubring.kbx", files["pubring.kbx"]))
	harm(t, damages{"keybox", "pubring.kbx", files["pubring.kbx"]}, keyDamage{3, 5, 5})
	t.Run("keybox", func(t *testing.T) { testKeybox(t, files["pubring.kbx"]) })
}

// testKeybox: a blob that is marked as deleted, and a flag that GnuPG writes in place.
func testKeybox(t *testing.T, b []byte) {
	second := int(b[3])
	flagged := bytes.Clone(b)
	flagged[second+7] ^= 2
	wantValid(t, "keybox", inMemory("pubring.kbx", flagged))
	deleted := bytes.Clone(b)
	deleted[second+4] = kbxDeleted
	wantValid(t, "keybox", inMemory("pubring.kbx", deleted))
}

// TestGnuPGX509: the keybox of gpgsm, whose certificates GnuPG marks in place.
func TestGnuPGX509(t *testing.T) {
	program(t, "gpgsm")
	dir, err := os.MkdirTemp("", "g")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	defer exec.Command("gpgconf", "--homedir", dir, "--kill", "all").Run()
	runIn(t, dir, "openssl", strings.Fields("req -x509 -newkey rsa:1024 -nodes -keyout k.pem -subj /CN=authority -days 30 -out ca.crt")...)
	runIn(t, dir, "gpgsm", "--batch", "--quiet", "--disable-dirmngr", "--import", "ca.crt")
	b := readFile(t, dir, "pubring.kbx")
	wantValid(t, "keybox", inMemory("pubring.kbx", b))
	harm(t, damages{"keybox", "pubring.kbx", b}, keyDamage{3, 10, 5})
}
