package validate

import (
	"bytes"
	"context"
	"encoding/base64"
	"strings"
)

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemTail  = "-----"
	// pemMax is the largest file with PEM in it: the certificates of all authorities
	// are a few hundred kB.
	pemMax = 16 << 20
)

// pemBlock is what stands between a BEGIN and its END.
type pemBlock struct {
	format  Format
	label   string
	line    int // of the BEGIN
	headers []string
	body    []byte // decoded
}

// header gives a header as in RFC 1421.
func (b pemBlock) header(name string) (string, bool) {
	for _, h := range b.headers {
		if value, ok := strings.CutPrefix(h, name+":"); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

func recognisePEMKey(_ string, head []byte) bool {
	label, first := pemFirst(head)
	return first && (strings.HasSuffix(label, "PRIVATE KEY") || label == "EC PARAMETERS")
}

// recognisePEM takes what begins with a block, and other text with one in it only under a
// name that says so: there are many documents and scripts with PEM in them.
func recognisePEM(name string, head []byte) bool {
	label, first := pemFirst(head)
	if label == "" || strings.HasPrefix(label, "PGP ") {
		return false
	}
	return first || hasSuffix(name, ".pem", ".crt", ".cer", ".key", ".csr", ".crl", ".p7b", ".p7c", ".ovpn", ".ca-bundle")
}

// pemFirst gives the label of the first block, and whether it begins the file.
func pemFirst(head []byte) (label string, first bool) {
	if !bytes.Contains(head, []byte(pemBegin)) {
		return "", false
	}
	first = true
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if label, ok := pemMark(string(line), pemBegin); ok {
			return label, first
		}
		first = first && len(line) == 0
	}
	return "", false
}

func pemMark(line, kind string) (label string, ok bool) {
	label, ok = strings.CutPrefix(line, kind)
	if !ok {
		return "", false
	}
	label, ok = strings.CutSuffix(label, pemTail)
	return label, ok && label != "" && !strings.Contains(label, "-----")
}

// pemScanner goes through a text with PEM blocks in it. The standard library's decoder
// takes a block that is broken for text, and looks for the next.
type pemScanner struct {
	format Format
	each   func(pemBlock) error
	inside bool
	block  pemBlock
	body   bytes.Buffer
	ended  bool // the block's headers, if it has any
	blocks int
}

// eachPEM gives every block of a file to a function.
func eachPEM(ctx context.Context, f File, format Format, each func(pemBlock) error) error {
	if f.Size > pemMax {
		return notJudged("it is larger than %d bytes", pemMax)
	}
	s := &pemScanner{format: format, each: each}
	t := f.text(ctx, format)
	t.utf8 = false // text between the blocks may be in any character set
	if err := t.eachLine(s.take); err != nil {
		return err
	}
	switch {
	case s.inside:
		return broken(format, "the block of line %d has no END", s.block.line)
	case s.blocks == 0:
		return broken(format, "it has no line with BEGIN")
	}
	return nil
}

func (s *pemScanner) take(n int, line string) error {
	line = strings.TrimSpace(line)
	label, begins := pemMark(line, pemBegin)
	other, ends := pemMark(line, pemEnd)
	switch {
	case !begins && !ends && pemLike(line):
		return broken(s.format, "line %d begins like a BEGIN or END and is none", n)
	case begins && s.inside:
		return broken(s.format, "the block of line %d has no END before line %d", s.block.line, n)
	case begins:
		s.inside, s.ended, s.block = true, false, pemBlock{format: s.format, label: label, line: n}
		s.body.Reset()
	case ends && !s.inside:
		return broken(s.format, "the END in line %d has no BEGIN", n)
	case ends:
		return s.end(n, other)
	case s.inside:
		return s.inner(n, line)
	}
	return nil
}

// pemLike tells whether a line that is no mark was one: cut short, or run together with
// the next. A line of dashes is just that.
func pemLike(line string) bool {
	rest, ok := strings.CutPrefix(line, "-----")
	return strings.Contains(line, pemBegin) || strings.Contains(line, pemEnd) ||
		ok && rest != "" && (strings.HasPrefix(pemBegin[5:], rest) || strings.HasPrefix(pemEnd[5:], rest))
}

// inner takes a line of a block: a header as in RFC 1421, or data.
func (s *pemScanner) inner(n int, line string) error {
	switch {
	case pgpLabel(s.block.label):
		return nil
	case line == "":
		s.ended = true
		return nil
	case s.body.Len() == 0 && !s.ended && strings.Contains(line, ":"):
		s.block.headers = append(s.block.headers, line)
		return nil
	case strings.Trim(line, base64Characters) != "" && !pemOpenVPN(s.block.label):
		return broken(s.format, "line %d holds characters that are no Base64", n)
	}
	if s.body.Len()+len(line) > storeMax {
		return notJudged("it has a block of more than %d bytes", storeMax)
	}
	s.body.WriteString(line)
	return nil
}

const base64Characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

// pgpLabel tells whether a block is OpenPGP's, which has an armor of its own.
func pgpLabel(label string) bool { return strings.HasPrefix(label, "PGP ") }

// pemOpenVPN tells whether a block is a key that OpenVPN writes in its own way.
func pemOpenVPN(label string) bool { return strings.HasPrefix(label, "OpenVPN Static key") }

func (s *pemScanner) end(n int, label string) error {
	s.inside = false
	s.blocks++
	if label != s.block.label {
		return broken(s.format, "the END in line %d is not of the kind that line %d begins", n, s.block.line)
	}
	if pgpLabel(label) {
		return nil
	}
	if pemOpenVPN(label) {
		return openVPNKey(s.block, s.body.String())
	}
	body, err := base64.StdEncoding.Strict().DecodeString(s.body.String())
	if err != nil || len(body) == 0 {
		return broken(s.format, "the Base64 of line %d to %d is not whole", s.block.line, n)
	}
	s.block.body = body
	return s.each(s.block)
}

// openVPNKey looks at a static key of OpenVPN: 256 bytes in hexadecimal.
func openVPNKey(b pemBlock, body string) error {
	if !isHex(body) || len(body) != 512 {
		return broken(b.format, "the key of line %d does not have 512 hexadecimal digits", b.line)
	}
	return nil
}
