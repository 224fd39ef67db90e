package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// KeySize is the length of a vault key in bytes.
const KeySize = 32

// ErrNoKey says that a Key was used that NewKey or KeyFromBytes did not make.
var ErrNoKey = errors.New("no vault key")

// The info strings of HKDF, one for each purpose.
const (
	infoSeal  = "reprovision vault v1 seal"
	infoID    = "reprovision vault v1 id"
	infoChunk = "reprovision vault v1 chunk"
	infoOuter = "reprovision vault v1 outer"
	infoMark  = "reprovision vault v1 mark"
)

// Key is a vault's key. It never leaves the device but wrapped in a key slot.
// Each purpose has a subkey of its own, derived by HKDF-SHA256. The zero Key
// opens and seals nothing. It prints as "vault key", whatever the verb.
//
// A vault whose key was rotated has older keys, too: what they sealed opens still,
// below the Outer layer that the reader put around it; nothing is sealed with them.
type Key struct {
	secret, seal, id, chunk, mark [KeySize]byte
	outer                         Outer
	older                         []Key
	set                           bool
}

// NewKey draws a random key.
func NewKey() (Key, error) {
	var b [KeySize]byte
	rand.Read(b[:]) // never fails: it ends the process where there is no randomness
	return KeyFromBytes(b[:])
}

// KeyFromBytes makes a key of its 32 bytes, as a key slot held them.
func KeyFromBytes(b []byte) (Key, error) {
	k := Key{set: true}
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("cannot make a vault key of %d bytes: want %d", len(b), KeySize)
	}
	copy(k.secret[:], b)
	for info, sub := range map[string]*[KeySize]byte{
		infoSeal: &k.seal, infoID: &k.id, infoChunk: &k.chunk, infoMark: &k.mark, infoOuter: (*[KeySize]byte)(&k.outer),
	} {
		d, err := hkdf.Key(sha256.New, b, nil, info, KeySize)
		if err != nil {
			return Key{}, fmt.Errorf("cannot derive a vault's subkey: %w", err)
		}
		copy(sub[:], d)
	}
	return k, nil
}

// KeyOfAges makes a key of the 32 bytes of each key that the vault has had, the
// newest, with which to seal, first.
func KeyOfAges(keys [][]byte) (Key, error) {
	var ages []Key
	for _, b := range keys {
		k, err := KeyFromBytes(b)
		if err != nil {
			return Key{}, err
		}
		ages = append(ages, k)
	}
	if len(ages) == 0 {
		return Key{}, ErrNoKey
	}
	newest := ages[0]
	newest.older = ages[1:]
	return newest, nil
}

// Outer is the key of the layer that goes around what older keys have sealed. The
// reader is told it for a rotation; it opens nothing by itself.
func (k Key) Outer() Outer { return k.outer }

// Bytes are the 32 bytes of the newest key, to be wrapped in a key slot.
func (k Key) Bytes() []byte { return append([]byte(nil), k.secret[:]...) }

// Equal compares two keys in constant time.
func (k Key) Equal(o Key) bool {
	return k.set && o.set && subtle.ConstantTimeCompare(k.secret[:], o.secret[:]) == 1
}

// Format keeps the key out of logs and errors.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("vault key")) }

// LogValue keeps the key out of structured logs.
func (k Key) LogValue() slog.Value { return slog.StringValue("vault key") }

func (k Key) check() error {
	if !k.set {
		return ErrNoKey
	}
	return nil
}

// BlobID is the id of the blob that will hold plain (before compression): a
// truncated HMAC-SHA256. The same contents get the same id, so that a backup
// which is repeated after an interruption sends nothing twice. Salt is the
// snapshot's id for a full data set, which so shares no blob with another
// one, and zero for an incremental one.
func (k Key) BlobID(kind Kind, part Part, salt SnapshotID, plain []byte) BlobID {
	m := hmac.New(sha256.New, k.id[:])
	m.Write([]byte{byte(kind), byte(part)})
	m.Write(salt[:])
	m.Write(plain)
	return BlobID(m.Sum(nil)[:idSize])
}
