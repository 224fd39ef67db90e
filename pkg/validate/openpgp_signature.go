package validate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	_ "crypto/md5" // for signatures of old
	"crypto/rsa"
	_ "crypto/sha3"   // for those of today
	_ "crypto/sha512" // and most others
	"encoding/binary"
	"math"
	"slices"
)

// pgpSig is a signature of version 4.
type pgpSig struct {
	kind      int
	algorithm int
	hash      crypto.Hash // 0 when it is not known
	hashed    []byte      // from the version to the end of the hashed part
	left      []byte      // the first two bytes of the hash
	issuer    []byte      // the id of the key that made it
	numbers   [][]byte
}

// readPGPSignature reads a signature (RFC 9580 section 5.2); nil when its version is
// another than 4.
func readPGPSignature(body []byte) (s *pgpSig, fault string) {
	f := &pgpFields{b: body}
	switch version := f.byte(); {
	case version == 3 || version == 2:
		return nil, oldSignatureFault(f)
	case version == 5 || version == 6:
		return nil, ""
	case version != 4:
		return nil, "is of no version that is known"
	}
	s = &pgpSig{kind: f.byte(), algorithm: f.byte()}
	hash := f.byte()
	s.hash = pgpHash(hash)
	hashed := f.take(f.uint16())
	s.hashed = body[:len(body)-len(f.b)]
	unhashed := f.take(f.uint16())
	s.left = f.take(2)
	if hash < 1 || hash > 14 && hash < 100 || !pgpAlgorithm(s.algorithm) {
		return nil, "is of no algorithm that is known"
	}
	if f.short || !s.subpackets(hashed) || !s.subpackets(unhashed) {
		return nil, "is cut short"
	}
	return s, s.readNumbers(f)
}

// pgpAlgorithm tells whether a number stands for an algorithm of public keys (RFC 9580
// section 9.1), for one of those that are being drafted, or for a private one.
func pgpAlgorithm(id int) bool {
	return id >= 1 && id <= 3 || id >= 16 && id <= 36 || id >= 100 && id <= 110
}

func oldSignatureFault(f *pgpFields) string {
	if f.byte() != 5 {
		return "is broken"
	}
	f.take(5 + 8)
	s := &pgpSig{algorithm: f.byte()}
	f.take(1 + 2)
	return s.readNumbers(f)
}

func (s *pgpSig) readNumbers(f *pgpFields) string {
	switch s.algorithm {
	case 1, 3:
		s.numbers = [][]byte{f.mpi()}
	case 16, 17, 19, 20, 22:
		s.numbers = [][]byte{f.mpi(), f.mpi()}
	case 27:
		s.numbers = [][]byte{f.take(64)}
	case 28:
		s.numbers = [][]byte{f.take(114)}
	default:
		return ""
	}
	if f.short || len(f.b) > 0 {
		return "is broken"
	}
	return ""
}

// subpackets goes through one of the two lists, for the issuer (section 5.2.3.7).
func (s *pgpSig) subpackets(list []byte) bool {
	f := &pgpFields{b: list}
	for len(f.b) > 0 && !f.short {
		n := f.byte()
		switch {
		case n == 255:
			if b := f.take(4); b != nil {
				n = int(min(binary.BigEndian.Uint32(b), math.MaxInt32))
			}
		case n >= 192:
			n = (n-192)<<8 + 192 + max(0, f.byte())
		}
		b := f.take(n)
		if len(b) == 0 {
			return false
		}
		switch kind := b[0] & 0x7f; {
		case kind == 16 && len(b) == 9:
			s.issuer = b[1:]
		case kind == 33 && len(b) == 22 && b[1] == 4:
			s.issuer = b[14:]
		}
	}
	return !f.short
}

func pgpHash(id int) crypto.Hash {
	return map[int]crypto.Hash{
		1: crypto.MD5, 2: crypto.SHA1, 8: crypto.SHA256, 9: crypto.SHA384, 10: crypto.SHA512, 11: crypto.SHA224,
		12: crypto.SHA3_256, 14: crypto.SHA3_512,
	}[id]
}

// owns tells whether a signature says that the key made it. One that does not say who did
// is the owner's: others' always say so.
func (k *pgpKey) owns(s *pgpSig) bool {
	return k.id == nil || s.issuer == nil || bytes.Equal(s.issuer, k.id)
}

// ownSignature looks at a signature that the key's owner made over the key and one of its
// parts: it proves that no bit of either changed. Others' signatures prove nothing
// here, because their keys are elsewhere.
func (k *pgpKey) ownSignature(s *pgpSig, subject *pgpSigned) string {
	if k.id == nil || !k.owns(s) || s.hash == 0 || !s.hash.Available() {
		return ""
	}
	if s.algorithm != k.algorithm {
		return "is of another algorithm than its key"
	}
	over, ok := s.over(k, subject)
	if !ok {
		return ""
	}
	h := s.hash.New()
	h.Write(over)
	h.Write(s.hashed)
	h.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(s.hashed))))
	digest := h.Sum(nil)
	if !bytes.Equal(digest[:2], s.left) || !k.verify(s, digest) {
		return "does not fit what it signs"
	}
	return ""
}

// over gives what a signature is over, by its type (section 5.2.4).
func (s *pgpSig) over(k *pgpKey, subject *pgpSigned) ([]byte, bool) {
	b := k.hashed()
	switch {
	case s.kind == 0x1f || s.kind == 0x20:
		return b, true
	case subject == nil:
		return nil, false
	case s.kind == 0x18 || s.kind == 0x28:
		if subject.tag != pgpPublicSub || subject.body == nil {
			return nil, false
		}
		return append(b, (&pgpKey{public: subject.body}).hashed()...), true
	case s.kind >= 0x10 && s.kind <= 0x13 || s.kind == 0x30:
		mark := byte(0xb4)
		if subject.tag == pgpAttribute {
			mark = 0xd1
		}
		if subject.tag == pgpPublicSub {
			return nil, false
		}
		b = append(b, mark)
		b = binary.BigEndian.AppendUint32(b, uint32(len(subject.body)))
		return append(b, subject.body...), true
	}
	return nil, false
}

// verify checks a signature with the standard library, where that knows the algorithm.
func (k *pgpKey) verify(s *pgpSig, digest []byte) bool {
	switch k.algorithm {
	case 1, 3:
		n, e := numberOf(k.numbers[0]), numberOf(k.numbers[1])
		if n.BitLen() < 1024 || n.BitLen() > numberMax || !e.IsInt64() || e.Int64() > math.MaxInt32 || s.hash == crypto.SHA3_256 || s.hash == crypto.SHA3_512 {
			return true
		}
		key := &rsa.PublicKey{N: n, E: int(e.Int64())}
		return rsa.VerifyPKCS1v15(key, s.hash, digest, numberOf(s.numbers[0]).FillBytes(make([]byte, max(key.Size(), len(s.numbers[0]))))) == nil
	case 19:
		return k.verifyECDSA(s, digest)
	case 22:
		return k.verifyEdDSA(s, digest)
	case 27:
		return len(k.numbers[0]) == ed25519.PublicKeySize && ed25519.Verify(k.numbers[0], digest, s.numbers[0])
	}
	return true
}

func (k *pgpKey) verifyECDSA(s *pgpSig, digest []byte) bool {
	curve := pgpCurve(k.curve)
	if curve == nil {
		return true
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, k.numbers[0])
	return err == nil && ecdsa.Verify(key, digest, numberOf(s.numbers[0]), numberOf(s.numbers[1]))
}

func (k *pgpKey) verifyEdDSA(s *pgpSig, digest []byte) bool {
	point := k.numbers[0]
	if k.curve != pgpEd25519 {
		return true
	}
	if len(point) != 33 || len(s.numbers[0]) > 32 || len(s.numbers[1]) > 32 {
		return false
	}
	// The two halves are numbers here, and lose their leading NULs.
	signature := slices.Concat(
		numberOf(s.numbers[0]).FillBytes(make([]byte, 32)),
		numberOf(s.numbers[1]).FillBytes(make([]byte, 32)))
	return ed25519.Verify(point[1:], digest, signature)
}
