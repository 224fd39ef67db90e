package validate

import (
	"context"
	"path/filepath"
	"strings"
)

// recogniseIWD goes by the names that iwd gives: the file is called after its
// network, and its ending is the network's security.
func recogniseIWD(name string, head []byte) bool {
	if !hasSuffix(name, ".psk", ".open", ".8021x") {
		return false
	}
	lines := headLines(head)
	return len(lines) > 0 && lines[0][0] == '['
}

func checkIWD(ctx context.Context, f File) error {
	k, err := readKeyfile(ctx, f, "iwd")
	if err != nil {
		return err
	}
	if _, ok := k.get("EncryptedSecurity", "Security"); ok {
		return iwdSealed(k)
	}
	switch strings.ToLower(filepath.Ext(f.Name)) {
	case ".psk":
		return iwdPSK(k)
	case ".8021x":
		if v, ok := k.get("EAP-Method", "Security"); !ok || v.text == "" {
			return broken(k.format, "[Security] tells no EAP-Method")
		}
	}
	return nil
}

// iwdSealed looks at a profile that iwd keeps encrypted with a systemd credential.
func iwdSealed(k *keyfile) error {
	for _, key := range []string{"EncryptedSecurity", "EncryptedSalt"} {
		v, ok := k.get(key, "Security")
		if !ok {
			return broken(k.format, "[Security] has no %s", key)
		}
		if v.text == "" || len(v.text)%2 != 0 || !isHex(v.text) {
			return broken(k.format, "%s in line %d is not hexadecimal", key, v.line)
		}
	}
	return nil
}

func iwdPSK(k *keyfile) error {
	key, hasKey := k.get("PreSharedKey", "Security")
	phrase, hasPhrase := k.get("Passphrase", "Security")
	if hasKey && (len(key.text) != 64 || !isHex(key.text)) {
		return broken(k.format, "the PreSharedKey in line %d does not have 64 hexadecimal digits", key.line)
	}
	if n := unescapedLength(phrase.text); hasPhrase && (n < 8 || n > 63) {
		return broken(k.format, "the Passphrase in line %d does not have 8 to 63 characters", phrase.line)
	}
	for name, v := range k.groups["Security"] {
		if strings.HasPrefix(name, "SAE-PT-Group") && (v.text == "" || len(v.text)%2 != 0 || !isHex(v.text)) {
			return broken(k.format, "%s in line %d is not hexadecimal", "the SAE point", v.line)
		}
	}
	if !hasKey && !hasPhrase {
		return broken(k.format, "[Security] has neither a PreSharedKey nor a Passphrase")
	}
	return nil
}
