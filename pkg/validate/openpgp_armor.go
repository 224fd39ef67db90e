package validate

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"strings"
)

// pgpArmor reads what is armored (RFC 9580 section 6), block by block. Its reader gives
// io.EOF where a block ends.
type pgpArmor struct {
	lines *bufio.Scanner
	line  int
	label string
	begin int    // the line that the block begins with
	quad  string // characters that the next line makes four of
	ready []byte // decoded
	crc   uint32
	ended bool // the data, by padding or checksum
	done  bool
	err   error
}

func newPGPArmor(t *text) *pgpArmor {
	s := bufio.NewScanner(t)
	s.Buffer(make([]byte, 0, 4<<10), lineMax)
	return &pgpArmor{lines: s}
}

// next goes to the data of the next block; io.EOF when there is none.
func (a *pgpArmor) next() error {
	for a.err = a.read(); a.err == nil; a.err = a.read() {
		line := strings.TrimPrefix(a.text(), ":")
		label, ok := pemMark(line, pemBegin)
		switch {
		case !ok && pemLike(line):
			return broken(openpgp, "line %d begins like a BEGIN or END and is none", a.line)
		case !ok:
			continue
		case label == "PGP SIGNED MESSAGE":
			return a.signedText()
		}
		return a.enter(label)
	}
	return a.err
}

// signedText skips a text with its signature, up to the signature.
func (a *pgpArmor) signedText() error {
	begin := a.line
	for a.err = a.read(); a.err == nil; a.err = a.read() {
		if label, ok := pemMark(a.text(), pemBegin); ok && label == "PGP SIGNATURE" {
			return a.enter(label)
		}
	}
	if errors.Is(a.err, io.EOF) {
		a.err = broken(openpgp, "the text that is signed in line %d has no signature", begin)
	}
	return a.err
}

// enter reads the headers up to an empty line. Old programs leave that out where
// there are none.
func (a *pgpArmor) enter(label string) error {
	a.label, a.begin, a.quad, a.ready = label, a.line, "", nil
	a.crc, a.ended, a.done = 0xb704ce, false, false
	for a.err = a.read(); a.err == nil; a.err = a.read() {
		line := a.text()
		if line == "" {
			return nil
		}
		if !strings.Contains(line, ":") {
			a.err = a.data(line)
			return a.err
		}
	}
	return a.unended()
}

func (a *pgpArmor) unended() error {
	if errors.Is(a.err, io.EOF) {
		a.err = broken(openpgp, "the block of line %d has no END", a.begin)
	}
	return a.err
}

func (a *pgpArmor) text() string { return strings.TrimSpace(a.lines.Text()) }

func (a *pgpArmor) read() error {
	if a.lines.Scan() {
		a.line++
		return nil
	}
	if err := a.lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return notJudged("it has a line of more than %d bytes", lineMax)
	} else if err != nil {
		return err
	}
	return io.EOF
}

// Read implements io.Reader.
func (a *pgpArmor) Read(p []byte) (int, error) {
	for len(a.ready) == 0 {
		switch {
		case a.done:
			return 0, io.EOF
		case a.err != nil:
			return 0, a.err
		}
		if a.err = a.read(); a.err != nil {
			return 0, a.unended()
		}
		a.err = a.data(a.text())
	}
	n := copy(p, a.ready)
	a.ready = a.ready[n:]
	return n, nil
}

// data takes a line of a block.
func (a *pgpArmor) data(line string) error {
	if label, ok := pemMark(strings.TrimPrefix(line, ":"), pemEnd); ok {
		if label != a.label || a.quad != "" {
			return broken(openpgp, "the END in line %d does not fit the block of line %d", a.line, a.begin)
		}
		a.done = true
		return nil
	}
	if len(line) == 5 && line[0] == '=' && a.quad == "" {
		return a.checksum(line[1:])
	}
	if a.ended && line != "" {
		return broken(openpgp, "data follow the end of the data in line %d", a.line)
	}
	a.quad += line
	whole := len(a.quad) &^ 3
	decoded, err := base64.StdEncoding.Strict().DecodeString(a.quad[:whole])
	if err != nil || len(line) > 0 && strings.Trim(line, base64Characters) != "" {
		return broken(openpgp, "line %d is no Base64", a.line)
	}
	a.ended = strings.HasSuffix(a.quad[:whole], "=")
	a.quad = a.quad[whole:]
	a.ready = decoded
	a.count(decoded)
	return nil
}

// checksum compares the CRC-24 of all data, where a block gives it.
func (a *pgpArmor) checksum(encoded string) error {
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) != 3 || uint32(b[0])<<16|uint32(b[1])<<8|uint32(b[2]) != a.crc {
		return broken(openpgp, "the checksum in line %d does not fit the data before it", a.line)
	}
	a.ended = true
	return nil
}

func (a *pgpArmor) count(b []byte) {
	for _, c := range b {
		a.crc ^= uint32(c) << 16
		for range 8 {
			a.crc <<= 1
			if a.crc&0x1000000 != 0 {
				a.crc ^= 0x1864cfb
			}
		}
	}
}
