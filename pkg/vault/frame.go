package vault

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

// A framed file is: magic (4 bytes), format (1 byte), body, SHA-256 of all that.
// The digest tells damage; authenticity is a matter of seals.
const framePrefix = 5

func frame(magic string, format byte, body []byte) []byte {
	b := make([]byte, 0, framePrefix+len(body)+sha256.Size)
	b = append(b, magic...)
	b = append(b, format)
	b = append(b, body...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// unframe returns the body; ErrDamaged is wrapped when the digest is wrong.
func unframe(magic string, format byte, b []byte, limit int) ([]byte, error) {
	if len(b) < framePrefix+sha256.Size || len(b) > limit || !bytes.HasPrefix(b, []byte(magic)) {
		return nil, fmt.Errorf("%d bytes without the mark %s", len(b), magic)
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(want[:], sum) {
		return nil, ErrDamaged
	}
	if b[len(magic)] != format {
		return nil, fmt.Errorf("format %d", b[len(magic)])
	}
	return body[framePrefix:], nil
}
