package validate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
)

// There is a library for OpenPGP, but it neither tells where in a file a fault is nor
// that the last packet is missing, and it passes over self-signatures that do not fit.
// So the packets (RFC 9580, and RFC 4880 before it) are read here; only public keys,
// signatures by the standard library's verifiers, and checksums are computed.

const openpgp Format = "openpgp"

func recogniseOpenPGP(name string, head []byte) bool {
	if label, first := pgpFirst(head); strings.HasPrefix(label, "PGP ") {
		return first || hasSuffix(name, ".asc", ".gpg", ".pgp", ".rev", ".sig")
	}
	if !hasSuffix(name, ".asc", ".gpg", ".pgp", ".sig") || len(head) < 3 || head[0]&0x80 == 0 {
		return false
	}
	tag := pgpTag(head[0])
	return tag >= 1 && tag <= 11 && tag != 7 || tag == 18 || tag == 20
}

// pgpFirst is pemFirst, but for what GnuPG writes revocations with: a colon before the
// mark, so that nobody imports one by mistake.
func pgpFirst(head []byte) (label string, first bool) {
	label, first = pemFirst(head)
	if label == "" {
		label, first = pemFirst(bytes.ReplaceAll(head, []byte("\n:"), []byte("\n")))
	}
	return label, first
}

func pgpTag(c byte) int {
	if c&0x40 != 0 {
		return int(c & 0x3f)
	}
	return int(c&0x3f) >> 2
}

// checkOpenPGP looks at keys, keyrings, signatures and messages, armored or not.
func checkOpenPGP(ctx context.Context, f File) error {
	first, ok, err := f.bytesAt(0, 1)
	if err != nil {
		return err
	}
	if !ok {
		return broken(openpgp, "it is empty")
	}
	if first[0]&0x80 != 0 && !bytes.HasPrefix(first, []byte("\xef")) {
		s := f.stream(ctx)
		return s.verdict(pgpPackets(&pgpCheck{ctx: ctx}, s))
	}
	t := f.text(ctx, openpgp)
	t.utf8 = false
	return t.verdict(pgpArmored(ctx, t))
}

// pgpArmored looks at every block of an armored file.
func pgpArmored(ctx context.Context, t *text) error {
	a, check := newPGPArmor(t), &pgpCheck{ctx: ctx}
	for blocks := 0; ; blocks++ {
		err := a.next()
		if errors.Is(err, io.EOF) && blocks > 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return broken(openpgp, "it has no line with BEGIN")
		}
		if err != nil {
			return err
		}
		if err := pgpPackets(check, a); err != nil {
			return err
		}
	}
}
