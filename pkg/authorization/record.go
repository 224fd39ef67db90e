package authorization

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
)

// ErrRecord means that bytes are not a whole authorization record.
var ErrRecord = errors.New("not an authorization record")

// Limits of a record, in bytes.
const (
	MaxIdentity = 255  // of the card's identity
	MaxRecord   = 1024 // of the whole record, and more than it ever takes
)

// The fields of a record, by offset. Numbers are big-endian.
const (
	recordMagic   = "RPAU"
	recordVersion = 1
	offVersion    = 4
	offIdentity   = 5 // length, 1 byte
	offKey        = 6 // length, 2 bytes
	offVault      = 8
	offDevice     = 24
	offCreated    = 40
	offNonce      = 48
	headSize      = 64
)

// recordContext precedes what a device signs here, so that the signature is of
// use nowhere else.
const recordContext = "reprovision authorization 1\x00"

// Card is what tells one card from another.
type Card struct {
	Identity string           // as card.Medium.Identity
	Key      *ecdsa.PublicKey // on P-256; nil for a card that cannot sign
}

// Record says that a device takes a card for its owner's.
type Record struct {
	Vault   [16]byte // that the card holds
	Device  string   // its keyring.PeerID
	Card    Card
	Created time.Time // by the device's clock, to the second

	signed    []byte // all but the signature
	signature []byte
}

// NewRecord makes the record of a card, signed by the device.
func NewRecord(device keyring.Identity, vault [16]byte, c Card, now time.Time) ([]byte, error) {
	key, err := EncodeKey(c.Key)
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(device.ID())
	if err != nil || len(c.Identity) == 0 || len(c.Identity) > MaxIdentity {
		return nil, fmt.Errorf("cannot make an authorization record: a card's identity of %d bytes", len(c.Identity))
	}
	b := make([]byte, headSize, MaxRecord)
	copy(b, recordMagic)
	b[offVersion], b[offIdentity] = recordVersion, byte(len(c.Identity))
	binary.BigEndian.PutUint16(b[offKey:], uint16(len(key)))
	copy(b[offVault:], vault[:])
	copy(b[offDevice:], id)
	binary.BigEndian.PutUint64(b[offCreated:], uint64(max(now.Unix(), 0)))
	if _, err := rand.Read(b[offNonce:headSize]); err != nil {
		return nil, fmt.Errorf("cannot make an authorization record: %w", err)
	}
	b = append(append(b, c.Identity...), key...)
	signature, err := device.Signer().Sign(rand.Reader, signedBytes(b), &ed25519.Options{})
	if err != nil {
		return nil, fmt.Errorf("cannot sign an authorization record: %w", err)
	}
	return append(b, signature...), nil
}

func signedBytes(b []byte) []byte { return append([]byte(recordContext), b...) }

// ParseRecord reads a record. It judges its form alone; SignedBy judges who made it.
func ParseRecord(b []byte) (Record, error) {
	if len(b) < headSize || len(b) > MaxRecord || string(b[:offVersion]) != recordMagic || b[offVersion] != recordVersion {
		return Record{}, ErrRecord
	}
	n, k := int(b[offIdentity]), int(binary.BigEndian.Uint16(b[offKey:]))
	created := binary.BigEndian.Uint64(b[offCreated:])
	if n == 0 || len(b) != headSize+n+k+ed25519.SignatureSize || created > math.MaxInt64 {
		return Record{}, ErrRecord
	}
	key, err := ParseKey(b[headSize+n : headSize+n+k])
	if err != nil {
		return Record{}, err
	}
	r := Record{
		Vault: [16]byte(b[offVault:]), Device: hex.EncodeToString(b[offDevice:offCreated]),
		Card: Card{Identity: string(b[headSize : headSize+n]), Key: key}, Created: time.Unix(int64(created), 0).UTC(),
		signed: bytes.Clone(b[:headSize+n+k]), signature: bytes.Clone(b[headSize+n+k:]),
	}
	return r, nil
}

// SignedBy tells whether the device with that key made the record.
func (r Record) SignedBy(device ed25519.PublicKey) bool {
	return len(device) == ed25519.PublicKeySize && r.Device == keyring.PeerID(device) &&
		ed25519.Verify(device, signedBytes(r.signed), r.signature)
}

// EncodeKey is the SubjectPublicKeyInfo of a card's key, in DER; nil for none.
func EncodeKey(key *ecdsa.PublicKey) ([]byte, error) {
	if key == nil {
		return nil, nil
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the card's key: %w", err)
	}
	return der, nil
}

// ParseKey is the reverse of EncodeKey: nil for no bytes. It accepts exactly what
// EncodeKey gives for a key on P-256, and returns ErrRecord for anything else.
func ParseKey(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) == 0 {
		return nil, nil
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: a key of another kind than ECC P-256", ErrRecord)
	}
	if again, err := EncodeKey(key); err != nil || !bytes.Equal(again, der) {
		return nil, fmt.Errorf("%w: a key in another encoding", ErrRecord)
	}
	return key, nil
}
