package validate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	// settingsMax is the largest file of settings or keys that people and programs
	// write by the line: far above any real one.
	settingsMax = 512 << 10
	// keyMax is the largest file that holds one key.
	keyMax = 128 << 10
	// storeMax is the largest file or block of keys and certificates in DER.
	storeMax = 4 << 20
	// lineMax is the longest line that is looked at: a photograph in a vCard that
	// does not fold.
	lineMax = 4 << 20
	// sealedZeros is how many NULs in a row something encrypted or random has only
	// once in 2^128.
	sealedZeros = 16
)

// keyFormats is what service books and keys are kept in. They are asked before the
// general formats that some of them are written in.
func keyFormats() []definition {
	return slices.Concat(networkFormats(), secretFormats(), addressFormats())
}

func networkFormats() []definition {
	return []definition{
		{"networkmanager", true, recogniseNetworkManager, checkNetworkManager},
		{"wireguard", true, recogniseWireGuard, checkWireGuard},
		{"wpa-supplicant", true, recogniseWPASupplicant, checkWPASupplicant},
		{"iwd", true, recogniseIWD, checkIWD},
	}
}

func secretFormats() []definition {
	return []definition{
		{"openssh-key", false, recogniseOpenSSHKey, checkOpenSSHKey},
		{"openssh-public", true, recogniseOpenSSHPublic, checkOpenSSHPublic},
		{"authorized-keys", true, fileNamed("authorized_keys", "authorized_keys2"), checkAuthorizedKeys},
		{"known-hosts", true, fileNamed("known_hosts", "known_hosts2", "ssh_known_hosts", "known_hosts.old"), checkKnownHosts},
		{"openpgp", false, recogniseOpenPGP, checkOpenPGP},
		{"gnupg-key", false, recogniseGnuPGKey, checkGnuPGKey},
		{"keybox", false, recogniseKeybox, checkKeybox},
		{"pem-key", false, recognisePEMKey, checkPEMKey},
		{"pem", false, recognisePEM, checkPEM},
		{"x509", false, recogniseX509, checkX509},
		{"pkcs12", false, recognisePKCS12, checkPKCS12},
	}
}

func addressFormats() []definition {
	return []definition{
		{"vcard", true, recogniseVCard, checkVCard},
		{"icalendar", true, recogniseICalendar, checkICalendar},
	}
}

// fileNamed recognises a format that has nothing but its files' names.
func fileNamed(names ...string) func(string, []byte) bool {
	return func(name string, head []byte) bool {
		return slices.Contains(names, filepath.Base(name)) && bytes.IndexByte(head, 0) < 0
	}
}

// headLines gives the trimmed lines of a file's beginning that are neither empty nor
// a comment, the last one perhaps in part.
func headLines(head []byte) []string {
	var lines []string
	for line := range strings.Lines(string(head)) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && line[0] != ';' {
			lines = append(lines, line)
		}
	}
	return lines
}

// headHas tells whether one of the lines is one that the expression matches.
func headHas(lines []string, expression string) bool {
	return slices.ContainsFunc(lines, regexp.MustCompile(expression).MatchString)
}

// eachLine gives the lines of a text to a function, counted from 1 and without
// their ends, until it returns an error. The line lasts until the next call.
func (t *text) eachLine(each func(n int, line string) error) error {
	return t.verdict(t.scan(each))
}

func (t *text) scan(each func(n int, line string) error) error {
	s := bufio.NewScanner(t)
	s.Buffer(make([]byte, 0, 4<<10), lineMax)
	for n := 1; s.Scan(); n++ {
		if err := each(n, s.Text()); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return notJudged("it has a line of more than %d bytes", lineMax)
	}
	return s.Err()
}

// settings opens a file of settings: text of a bounded size.
func (f File) settings(ctx context.Context, format Format) (*text, error) {
	if f.Size > settingsMax {
		return nil, notJudged("it is larger than %d bytes", settingsMax)
	}
	return f.text(ctx, format), nil
}

// zeroRun finds the first run of n NULs in what is encrypted or random, where none
// is ever by chance; -1 when there is none.
func zeroRun(b []byte, n int) int {
	run := 0
	for i, c := range b {
		if c != 0 {
			run = 0
		} else if run++; run == n {
			return i - n + 1
		}
	}
	return -1
}
