package validate

import (
	"context"
	"encoding/base64"
	"strings"
)

func recogniseOpenSSHPublic(name string, head []byte) bool {
	if !hasSuffix(name, ".pub") {
		return false
	}
	lines := headLines(head)
	return len(lines) > 0 && sshKind(strings.Fields(lines[0])[0])
}

// checkOpenSSHPublic looks at a .pub: one key in one line, but several pass.
func checkOpenSSHPublic(ctx context.Context, f File) error {
	found, err := checkSSHLines(ctx, f, "openssh-public", func(line string) string {
		_, fault := sshPublicLine(line)
		return fault
	})
	if err == nil && found == 0 {
		err = broken("openssh-public", "it holds no key")
	}
	return err
}

// checkAuthorizedKeys looks at the keys that may log in; none at all is no fault.
func checkAuthorizedKeys(ctx context.Context, f File) error {
	_, err := checkSSHLines(ctx, f, "authorized-keys", func(line string) string {
		if kind, _, _ := strings.Cut(line, " "); !sshKind(kind) {
			line = sshWithoutOptions(line)
		}
		_, fault := sshPublicLine(line)
		return fault
	})
	return err
}

// checkKnownHosts looks at the hosts that were met; none at all is no fault.
func checkKnownHosts(ctx context.Context, f File) error {
	_, err := checkSSHLines(ctx, f, "known-hosts", func(line string) string {
		if marked, ok := strings.CutPrefix(line, "@"); ok {
			marker, rest := sshCut(marked)
			if marker != "cert-authority" && marker != "revoked" {
				return "begins with a marker that is not known"
			}
			line = rest
		}
		hosts, key := sshCut(line)
		if fault := sshHashed(hosts); fault != "" {
			return fault
		}
		_, fault := sshPublicLine(key)
		return fault
	})
	return err
}

// checkSSHLines asks for the fault of each line that is neither empty nor a comment, and
// counts them.
func checkSSHLines(ctx context.Context, f File, format Format, fault func(line string) string) (found int, err error) {
	if f.Size > pemMax {
		return 0, notJudged("it is larger than %d bytes", pemMax)
	}
	err = f.text(ctx, format).eachLine(func(n int, line string) error {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			return nil
		}
		found++
		if reason := fault(line); reason != "" {
			return broken(format, "the key in line %d %s", n, reason)
		}
		return nil
	})
	return found, err
}

// sshPublicKey is a public key as a line of text holds it.
type sshPublicKey struct {
	kind string
	blob []byte // in wire format
}

// sshPublicLine reads a kind, a key in Base64, and perhaps a comment. The keys of
// SSH 1, which are decimal numbers, pass.
func sshPublicLine(line string) (key sshPublicKey, fault string) {
	kind, rest := sshCut(line)
	encoded, _ := sshCut(rest)
	if kind != "" && strings.Trim(kind+encoded, "0123456789") == "" && encoded != "" {
		return key, ""
	}
	if !sshKind(kind) {
		return key, "has no kind that is known"
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || encoded == "" {
		return key, "is no whole Base64"
	}
	return sshPublicKey{kind, blob}, sshPublicFault(kind, blob)
}

// sshKind tells whether a word is like the name of a kind of key.
func sshKind(word string) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-", "sk-", "rsa-", "x509v3-", "webauthn-"} {
		if strings.HasPrefix(word, prefix) && strings.Trim(word, sshNameCharacters) == "" {
			return true
		}
	}
	return false
}

func sshCut(line string) (word, rest string) {
	line = strings.TrimLeft(line, " \t")
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], strings.TrimLeft(line[i:], " \t")
	}
	return line, ""
}

// sshWithoutOptions cuts off the options before a key: all up to the first space that is
// in no quotation marks.
func sshWithoutOptions(line string) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && line[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return strings.TrimLeft(line[i:], " \t")
		}
	}
	return ""
}

// sshHashed looks at a host's name that is kept as salt and hash, "|1|salt|hash".
func sshHashed(hosts string) string {
	hash, ok := strings.CutPrefix(hosts, "|")
	if !ok {
		return ""
	}
	parts := strings.Split(hash, "|")
	if len(parts) != 3 || parts[0] != "1" {
		return "has a hashed host that is broken"
	}
	for _, p := range parts[1:] {
		if b, err := base64.StdEncoding.DecodeString(p); err != nil || len(b) != 20 {
			return "has a hashed host that is broken"
		}
	}
	return ""
}
