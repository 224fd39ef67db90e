package validate

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	opensshLabel = "OPENSSH PRIVATE KEY"
	opensshMagic = "openssh-key-v1\x00"
)

func recogniseOpenSSHKey(_ string, head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("-----BEGIN "+opensshLabel+"-----"))
}

// checkOpenSSHKey looks at a private key as OpenSSH's PROTOCOL.key describes it, and at
// whether it belongs to the public key beside it.
func checkOpenSSHKey(ctx context.Context, f File) error {
	var keys []sshFound
	err := eachPEM(ctx, f, "openssh-key", func(b pemBlock) error {
		if b.label != opensshLabel {
			return broken(b.format, "line %d begins something that is no OpenSSH key", b.line)
		}
		key, err := opensshKey(b.format, b.body)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return err
	}
	if len(keys) != 1 {
		return broken("openssh-key", "it holds %d keys", len(keys))
	}
	return besideSSH(f, "openssh-key", keys[0].public)
}

// besideSSH compares a private key with the public one that lies beside it: a file of the
// same name and ".pub". One that is no public key itself proves nothing.
func besideSSH(f File, format Format, public []byte) error {
	neighbour, ok, err := f.beside(f.Name + ".pub")
	if err != nil || !ok || public == nil || neighbour.Size > keyMax {
		return err
	}
	text, err := neighbour.whole(keyMax)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	other, fault := sshPublicLine(line)
	if fault != "" || strings.Contains(other.kind, "-cert-") {
		return nil
	}
	if !bytes.Equal(other.blob, public) {
		fault := broken(format, "it does not match the public key beside it, %s.pub", f.Name)
		fault.Beside = true
		return fault
	}
	return nil
}

// sshFound is what the outer part of a private key tells in the clear.
type sshFound struct {
	public []byte // in wire format
}

func opensshKey(format Format, b []byte) (found sshFound, err error) {
	w := sshWire{b: b}
	if !bytes.HasPrefix(b, []byte(opensshMagic)) {
		return found, broken(format, "what it holds does not begin as an OpenSSH key")
	}
	w.b = w.b[len(opensshMagic):]
	cipher, kdf, options := string(w.next()), string(w.next()), w.next()
	count := w.number()
	public, private := w.next(), w.next()
	switch {
	case w.short || count != 1:
		return found, broken(format, "its outer structure is cut short or does not hold one key")
	case len(w.b) != sshTag(cipher):
		return found, broken(format, "%d bytes follow the key", len(w.b))
	}
	if fault := sshPublicFault("", public); fault != "" {
		return found, broken(format, "its public part %s", fault)
	}
	if kind := (&sshWire{b: public}).next(); !slices.Contains(sshKinds(), string(kind)) {
		return found, broken(format, "its public part is of no kind that is known")
	}
	found.public = public
	if cipher == "none" {
		return found, opensshClear(format, kdf, options, public, private)
	}
	return found, opensshSealed(format, cipher, kdf, options, private)
}

// sshTag is how many bytes follow the private part: what a cipher authenticates with.
func sshTag(cipher string) int {
	switch cipher {
	case "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com":
		return 16
	}
	return 0
}

// opensshSealed looks at a key with a passphrase: what can be seen without it.
func opensshSealed(format Format, cipher, kdf string, options, private []byte) error {
	block := 16
	if cipher == "3des-cbc" || cipher == "chacha20-poly1305@openssh.com" {
		block = 8
	}
	ciphers := []string{
		"3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-ctr", "aes192-ctr", "aes256-ctr",
		"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com",
	}
	w := sshWire{b: options}
	salt, rounds := w.next(), w.number()
	switch {
	case !slices.Contains(ciphers, cipher):
		return broken(format, "its cipher has no name that OpenSSH knows")
	case kdf != "bcrypt" || w.short || len(w.b) != 0 || len(salt) == 0 || rounds == 0:
		return broken(format, "what tells how to use the passphrase is broken")
	case len(private) == 0 || len(private)%block != 0:
		return broken(format, "its encrypted part does not have whole blocks")
	case zeroRun(private, sealedZeros) >= 0:
		return broken(format, "its encrypted part holds a run of NUL bytes")
	}
	return nil
}

func opensshClear(format Format, kdf string, options, public, private []byte) error {
	if kdf != "none" || len(options) != 0 {
		return broken(format, "it tells how to use a passphrase and has none")
	}
	if len(private)%8 != 0 {
		return broken(format, "its private part does not have whole blocks")
	}
	w := &sshWire{b: private}
	if a, b := w.number(), w.number(); w.short || a != b {
		return broken(format, "the two check numbers of its private part differ")
	}
	kind := string(w.next())
	if w.short || !bytes.HasPrefix(public, sshString(kind)) {
		return broken(format, "its private and its public part are of different kinds")
	}
	private = w.b
	inner, fault := sshPrivate(kind, w)
	if fault == "" && !bytes.Equal(inner, public) {
		fault = "does not match its public part"
	}
	if fault == "" {
		fault = sshEnding(w)
	}
	if fault != "" {
		return broken(format, "its private part %s (within its %d bytes)", fault, len(private))
	}
	return nil
}

// sshEnding looks at what follows a private key: a comment, and padding of 1, 2, 3...
func sshEnding(w *sshWire) string {
	w.next()
	if w.short {
		return "is cut short"
	}
	if len(w.b) > 16 {
		return "is followed by more than padding"
	}
	for i, c := range w.b {
		if int(c) != i+1 {
			return "ends in padding that does not count 1, 2, 3"
		}
	}
	return ""
}

// sshPublicFault tells what is wrong with a public key in wire format, whose kind is the
// one given unless that is ""; "" when nothing is.
func sshPublicFault(kind string, blob []byte) string {
	w := sshWire{b: blob}
	inner := string(w.next())
	switch {
	case w.short || inner == "" || strings.Trim(inner, sshNameCharacters) != "":
		return "does not begin with the name of a kind of key"
	case kind != "" && inner != kind:
		return "is of another kind than it tells"
	case !slices.Contains(sshKinds(), inner):
		return ""
	}
	if _, err := ssh.ParsePublicKey(blob); err != nil {
		return "is no key of its kind"
	}
	return ""
}

const sshNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.@"

// sshKinds is the kinds of public keys that x/crypto/ssh can look into.
func sshKinds() []string {
	return []string{
		ssh.KeyAlgoRSA, "ssh-dss", ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.CertAlgoRSAv01, "ssh-dss-cert-v01@openssh.com", ssh.CertAlgoED25519v01, ssh.CertAlgoSKED25519v01,
		ssh.CertAlgoSKECDSA256v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	}
}
