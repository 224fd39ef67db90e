package validate

import (
	"bytes"
	"context"
	"crypto/sha1" // a keygrip is one
	"encoding/hex"
	"path/filepath"
	"strconv"
	"strings"
)

// recogniseGnuPGKey goes by the name, which is the key's own: 40 hexadecimal digits.
func recogniseGnuPGKey(name string, _ []byte) bool {
	grip, ok := strings.CutSuffix(filepath.Base(name), ".key")
	return ok && len(grip) == 40 && isHex(grip)
}

// checkGnuPGKey looks at a file of GnuPG's private-keys-v1.d: an S-expression, bare or as
// the item "Key" of the extended format (GnuPG's keyformat.txt).
func checkGnuPGKey(ctx context.Context, f File) error {
	b, err := f.whole(keyMax)
	if err != nil {
		return err
	}
	fault := "is empty"
	if len(b) > 0 && b[0] != '(' {
		b, fault = extendedKey(b)
	} else if len(b) > 0 {
		fault = ""
	}
	if fault == "" {
		fault = gnupgFault(f.Name, b)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if fault != "" {
		return broken("gnupg-key", "it %s", fault)
	}
	return nil
}

// extendedKey gives the expression of the item "Key", whose lines go on with a space.
func extendedKey(b []byte) (key []byte, fault string) {
	item := ""
	for line := range bytes.Lines(b) {
		text := bytes.TrimRight(line, "\r\n")
		switch {
		case bytes.IndexByte(line, 0) >= 0:
			return nil, "holds NUL bytes"
		case len(bytes.TrimSpace(text)) == 0 || text[0] == '#':
			continue
		case text[0] == ' ' || text[0] == '\t':
			if item == "" {
				return nil, "goes on with a line that is missing"
			}
		default:
			name, value, ok := bytes.Cut(text, []byte(":"))
			if !ok || len(name) == 0 || strings.Trim(string(name), sshNameCharacters) != "" {
				return nil, "has a line that is no item"
			}
			item, line = strings.ToLower(string(name)), append(value, '\n')
		}
		if item == "key" {
			key = append(key, line...)
		}
	}
	if key == nil {
		return nil, "has no item Key"
	}
	return key, ""
}

func gnupgFault(name string, b []byte) string {
	r := &sexpReader{b: b}
	root, ok := r.node()
	if !ok || !root.isList || len(root.list) < 2 || !root.list[1].isList || len(root.list[1].list) < 2 {
		return "is broken or cut short: its expression does not end, or is no key"
	}
	if r.space(); r.at < len(b) {
		return "goes on behind its expression"
	}
	key := root.list[1]
	algorithm := string(key.list[0].atom)
	if grip, ok := keygrip(algorithm, key); ok && !strings.EqualFold(filepath.Base(name), hex.EncodeToString(grip)+".key") &&
		recogniseGnuPGKey(name, nil) {
		return "does not hold the key that its name tells"
	}
	switch string(root.list[0].atom) {
	case "private-key":
		return gnupgClearFault(algorithm, key)
	case "protected-private-key":
		return gnupgProtectedFault(key)
	case "shadowed-private-key":
		return ""
	}
	return "is no private key"
}

// gnupgProtectedFault looks at a key with a passphrase: (protected mode (how) encrypted).
func gnupgProtectedFault(key sexpNode) string {
	p, ok := key.get("protected")
	switch {
	case !ok || len(p.list) != 4 || !p.list[2].isList || len(p.list[3].atom) < 16:
		return "has no protected part, or one that is broken"
	case strings.HasSuffix(string(p.list[1].atom), "-cbc") && len(p.list[3].atom)%16 != 0:
		return "has a protected part without whole blocks"
	case zeroRun(p.list[3].atom, sealedZeros) >= 0:
		return "has a protected part with a run of NUL bytes in it"
	}
	return ""
}

func gnupgClearFault(algorithm string, key sexpNode) string {
	fits := true
	switch algorithm {
	case "rsa":
		fits = rsaNumbers{
			n: numberOf(key.value("n")), e: numberOf(key.value("e")), d: numberOf(key.value("d")),
			p: numberOf(key.value("q")), q: numberOf(key.value("p")), qInv: numberOf(key.value("u")),
		}.fit()
	case "dsa":
		fits = dsaFits(numberOf(key.value("p")), numberOf(key.value("q")), numberOf(key.value("g")),
			numberOf(key.value("y")), numberOf(key.value("x")))
	case "ecc":
		point := key.value("q")
		if len(point) == 32 {
			point = append([]byte{0x40}, point...)
		}
		k := &pgpKey{numbers: [][]byte{point}, curve: gnupgCurve(string(key.value("curve")))}
		fits = len(key.value("d")) > 0 && k.curveFits(key.value("d"))
	}
	if !fits {
		return "has a private part that does not yield its public one"
	}
	return ""
}

// gnupgCurve gives the object identifier of a curve that libgcrypt names.
func gnupgCurve(name string) string {
	return map[string]string{
		"Ed25519": pgpEd25519, "Curve25519": pgpCurve25519,
		"NIST P-256": "\x2a\x86\x48\xce\x3d\x03\x01\x07", "nistp256": "\x2a\x86\x48\xce\x3d\x03\x01\x07",
		"NIST P-384": "\x2b\x81\x04\x00\x22", "nistp384": "\x2b\x81\x04\x00\x22",
		"NIST P-521": "\x2b\x81\x04\x00\x23", "nistp521": "\x2b\x81\x04\x00\x23",
	}[name]
}

// keygrip computes what libgcrypt names a key by, a hash of its public part, for the
// algorithms that it is known of.
func keygrip(algorithm string, key sexpNode) ([]byte, bool) {
	switch algorithm {
	case "rsa":
		sum := sha1.Sum(key.value("n"))
		return sum[:], true
	case "ecc":
		curve := pgpCurve(gnupgCurve(string(key.value("curve"))))
		if curve == nil {
			return keygrip25519(gnupgCurve(string(key.value("curve"))), key.value("q"))
		}
		c := curve.Params()
		size := (c.BitSize + 7) / 8
		base := append([]byte{4}, c.Gx.FillBytes(make([]byte, size))...)
		base = append(base, c.Gy.FillBytes(make([]byte, size))...)
		a := numberOf(c.P.Bytes())
		a.Sub(a, numberOf([]byte{3}))
		return gripOf(c.P.Bytes(), a.Bytes(), c.B.Bytes(), base, c.N.Bytes(), key.value("q")), true
	}
	return nil, false
}

// keygrip25519 is the keygrip on the two curves over 2^255-19.
func keygrip25519(curve string, point []byte) ([]byte, bool) {
	if len(point) == 33 && point[0] == 0x40 {
		point = point[1:]
	}
	const (
		prime = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"
		order = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"
	)
	var a, b, base string
	switch curve {
	case pgpEd25519:
		// Both are negative in libgcrypt, and go into the hash without their sign.
		a, b = "01", "2dfc9311d490018c7338bf8688861767ff8ff5b2bebe27548a14b235eca6874a"
		base = "04216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a" +
			"6666666666666666666666666666666666666666666666666666666666666658"
	case pgpCurve25519:
		a, b = "01db41", "01"
		base = "040000000000000000000000000000000000000000000000000000000000000009" +
			"20ae19a1b8a086b4e01edd2c7748d14c923d4d7e6d7c61b229e9c5a27eced3d9"
	default:
		return nil, false
	}
	return gripOf(fromHex(prime), fromHex(a), fromHex(b), fromHex(base), fromHex(order), point), true
}

func fromHex(s string) []byte {
	b, _ := hex.DecodeString(s) // of constants
	return b
}

// gripOf hashes the parameters of a curve and a point on it, each as "(1:p32:...)".
func gripOf(p, a, b, g, n, q []byte) []byte {
	h := sha1.New()
	for i, part := range [][]byte{p, a, b, g, n, q} {
		h.Write([]byte("(1:" + "pabgnq"[i:i+1]))
		h.Write([]byte(strconv.Itoa(len(part)) + ":"))
		h.Write(part)
		h.Write([]byte(")"))
	}
	return h.Sum(nil)
}
