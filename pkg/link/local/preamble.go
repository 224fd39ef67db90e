package local

import (
	"errors"
	"fmt"
	"io"

	"github.com/reprovision/reprovision/pkg/link"
)

// The preamble. Whoever dials sends a hello: magic, version, wanted address.
// The listener sends an answer: magic, version, verdict.
const (
	magic        = "RPVL"
	version      = 1
	helloLength  = len(magic) + 1 + len(link.Address{})
	answerLength = len(magic) + 1 + 1
)

// verdict is the listener's answer to a hello.
type verdict byte

const (
	accepted       verdict = 0
	unknownAddress verdict = 1
	busy           verdict = 2
	otherVersion   verdict = 3
)

// errPreamble is returned for bytes that are no preamble of this protocol.
var errPreamble = errors.New("not the preamble of a reprovision link")

func makeHello(a link.Address) []byte {
	return append(append([]byte(magic), version), a[:]...)
}

// parseHello tells which address is wanted, and the version that the dialer
// speaks; the address of another version means nothing.
func parseHello(b []byte) (byte, link.Address, error) {
	if len(b) != helloLength || string(b[:len(magic)]) != magic {
		return 0, link.Address{}, errPreamble
	}
	return b[len(magic)], link.Address(b[len(magic)+1:]), nil
}

func makeAnswer(v verdict) []byte {
	return append([]byte(magic), version, byte(v))
}

// readAnswer turns the listener's answer into Dial's error.
func readAnswer(r io.Reader) error {
	b := make([]byte, answerLength)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	if string(b[:len(magic)]) != magic {
		return errPreamble
	}
	switch v := verdict(b[len(magic)+1]); v {
	case accepted:
		return nil
	case unknownAddress:
		return fmt.Errorf("%w: another address is there", link.ErrUnreachable)
	case busy:
		return fmt.Errorf("%w: busy", link.ErrUnreachable)
	case otherVersion:
		return fmt.Errorf("cannot talk to link version %d", b[len(magic)])
	default:
		return fmt.Errorf("%w: verdict %d", errPreamble, v)
	}
}
