package validate

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// TestOpenSSH: keys of ssh-keygen.
func TestOpenSSH(t *testing.T) {
	files := sshKeys(t)
	t.Run("keys", func(t *testing.T) { testOpenSSHKeys(t, files) })
	t.Run("neighbour", func(t *testing.T) { testOpenSSHNeighbour(t, files) })
	t.Run("bits", func(t *testing.T) { testOpenSSHBits(t, files) })
}

// testOpenSSHKeys: all bits of a key in the clear are accounted for
// but those of its comment; of one with a passphrase, and no .pub beside it, the
// public numbers, the salt and what is encrypted.
func testOpenSSHKeys(t *testing.T, files map[string][]byte) {
	for name, c := range map[string]struct {
		format Format
		flip   int
	}{
		"id_ed25519": {"openssh-key", 12}, "id_rsa": {"openssh-key", 5}, "id_ecdsa": {"openssh-key", 10},
		"id_ecdsa384": {"openssh-key", 10}, "id_ecdsa521": {"openssh-key", 10}, "sealed": {"openssh-key", 75},
		"sealed_gcm": {"openssh-key", 75}, "sealed_chacha": {"openssh-key", 90}, "pem_rsa": {"pem-key", 5},
		"pem_ec": {"pem-key", 5}, "pkcs8_rsa": {"pem-key", 5}, "pem_sealed": {"pem-key", 95},
	} {
		t.Run(name, func(t *testing.T) {
			wantValid(t, c.format, inDirectory(name, files))
			wantValid(t, "openssh-public", inMemory(name+".pub", files[name+".pub"]))
			harm(t, damages{c.format, name, files[name]}, keyDamage{cut: 1, flip: c.flip})
		})
	}
}

// testOpenSSHNeighbour: a public key that is another's is told; one that is none is not.
func testOpenSSHNeighbour(t *testing.T, files map[string][]byte) {
	for _, name := range []string{"id_ed25519", "id_rsa", "sealed", "pem_rsa", "pem_ec", "pkcs8_rsa"} {
		format, _ := New().Recognise(inMemory(name, files[name]))
		for pub, want := range map[string]bool{"id_ecdsa384.pub": true, name + ".pub": false, name: false} {
			f := inDirectory(name, map[string][]byte{name: files[name], name + ".pub": files[pub]})
			if err := checkFile(t, format, f); isInvalid(err) != want {
				t.Errorf("%s beside %s: %v", name, pub, err)
			}
		}
	}
}

// testOpenSSHBits turns every bit that one may see: with the .pub beside it, a key in the
// clear has none that matters unseen.
func testOpenSSHBits(t *testing.T, files map[string][]byte) {
	for name, most := range map[string]int{
		// The check numbers are random but equal; the comment is not checked.
		"id_ed25519": 9, "id_rsa": 9, "id_ecdsa": 9,
		// Salt, rounds and what is encrypted: all but the outer structure.
		"sealed": 16 + 4 + 144, "sealed_gcm": 16 + 4 + 144 + 16,
	} {
		blob := opensshBlob(t, files[name])
		missed := 0
		for i := range blob {
			b := bytes.Clone(blob)
			b[i] ^= 1 << (i % 8)
			broken := []byte("-----BEGIN " + opensshLabel + "-----\n" + base64.StdEncoding.EncodeToString(b) +
				"\n-----END " + opensshLabel + "-----\n")
			f := inDirectory(name, map[string][]byte{name: broken, name + ".pub": files[name+".pub"]})
			if checkFile(t, "openssh-key", f) == nil {
				missed++
			}
		}
		t.Logf("%s: %d of %d bytes with a bit turned are not seen", name, missed, len(blob))
		if missed > most {
			t.Errorf("%s: %d bytes with a bit turned are not seen, at most %d", name, missed, most)
		}
	}
}

func opensshBlob(t testing.TB, text []byte) []byte {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	b, err := base64.StdEncoding.DecodeString(strings.Join(lines[1:len(lines)-1], ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestOpenSSHLines: what ssh-keygen and ssh write by the line.
func TestOpenSSHLines(t *testing.T) {
	dir := runProgram(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ca")
	runIn(t, dir, "ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", "user")
	runIn(t, dir, "ssh-keygen", "-q", "-s", "ca", "-I", "mary", "-n", "mary", "user.pub")
	files := directory(t, dir)
	public := strings.TrimSpace(string(files["user.pub"]))
	wantValid(t, "openssh-public", inMemory("user-cert.pub", files["user-cert.pub"]))
	wantValid(t, "openssh-key", inDirectory("user", map[string][]byte{"user": files["user"], "user.pub": files["user-cert.pub"]}))
	key := strings.Join(strings.Fields(public)[:2], " ")
	hashed := "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= "
	hosts := "# comment\n\n" + hashed + key + "\nexample.org,192.0.2.1 " + key + "\n@revoked * " + key + "\n[h]:22 " + key + " c\n"
	wantValid(t, "known-hosts", inMemory("known_hosts", []byte(hosts)))
	authorized := "# c\ncommand=\"echo \\\"a b\\\"\",no-pty " + public + "\n" + public + "\nrestrict,from=\"*.example.org\" " + key + "\n"
	wantValid(t, "authorized-keys", inMemory("authorized_keys", []byte(authorized)))
	for _, c := range []struct{ name, text, want string }{
		{"known_hosts", "example.org " + key[:100] + "\n", "line 1"},
		{"known_hosts", "@mark example.org " + key + "\n", "marker"},
		{"known_hosts", "|1|abc|def " + key + "\n", "hashed"},
		{"known_hosts", "example.org ssh-ed25519" + strings.TrimPrefix(key, "ssh-rsa") + "\n", "another kind"},
		{"authorized_keys", public[:150] + "\n", "line 1"},
		{"authorized_keys", "no key at all\n", "line 1"},
	} {
		format, _ := New().Recognise(inMemory(c.name, []byte(c.text)))
		if err := checkBytes(t, format, c.name, []byte(c.text)); !isInvalid(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v", c.name, c.text, err)
		}
	}
	for _, format := range []Format{"known-hosts", "authorized-keys"} {
		if err := checkBytes(t, format, "x", nil); err != nil {
			t.Errorf("an empty %s: %v", format, err)
		}
	}
}
