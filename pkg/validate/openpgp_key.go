package validate

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/sha1" // a key of version 4 is named by its SHA-1
	"encoding/binary"
	"math/big"
	"slices"
)

// pgpKey is a public key and what names it.
type pgpKey struct {
	version   int
	algorithm int
	public    []byte   // the body of its packet, without the secret part
	numbers   [][]byte // the numbers of the algorithm, or its native bytes
	curve     string   // the curve's object identifier, as it stands there
	id        []byte   // of version 4: eight bytes
}

// readPGPKey reads the body of a key's packet (RFC 9580 section 5.5).
func readPGPKey(body []byte, secret bool) (key *pgpKey, fault string) {
	f := &pgpFields{b: body}
	key = &pgpKey{version: f.byte()}
	if key.version > 4 && key.version < 7 {
		return key, "" // newer, and not looked into
	}
	if key.version < 2 {
		return nil, "is of no version that is known"
	}
	f.take(4)
	if key.version < 4 {
		f.take(2)
	}
	key.algorithm = f.byte()
	if !pgpAlgorithm(key.algorithm) {
		return nil, "is of no algorithm that is known"
	}
	if !key.readNumbers(f) {
		return key, ""
	}
	key.public = body[:len(body)-len(f.b)]
	if key.version == 4 {
		sum := sha1.Sum(key.hashed())
		key.id = sum[12:]
	}
	switch {
	case f.short:
		return nil, "is cut short"
	case secret:
		return key, key.secretFault(f)
	case len(f.b) > 0:
		return nil, "is longer than its numbers"
	}
	return key, ""
}

// hashed gives the key as it goes into a fingerprint or a signature.
func (k *pgpKey) hashed() []byte {
	b := append([]byte{0x99}, binary.BigEndian.AppendUint16(nil, uint16(len(k.public)))...)
	return append(b, k.public...)
}

// readNumbers reads the public numbers; false when the algorithm is not known.
func (k *pgpKey) readNumbers(f *pgpFields) bool {
	count := 0
	switch k.algorithm {
	case 1, 2, 3:
		count = 2
	case 16, 20:
		count = 3
	case 17:
		count = 4
	case 18, 19, 22:
		k.curve = string(f.counted())
		k.numbers = append(k.numbers, f.mpi())
		if k.algorithm == 18 {
			f.counted()
		}
	case 25, 26, 27, 28:
		k.numbers = append(k.numbers, f.take(pgpNativeSize(k.algorithm)))
	default:
		return false
	}
	for range count {
		k.numbers = append(k.numbers, f.mpi())
	}
	return true
}

// pgpNativeSize is the length of a public and of a secret key of RFC 9580's own curves.
func pgpNativeSize(algorithm int) int {
	return map[int]int{25: 32, 26: 56, 27: 32, 28: 57}[algorithm]
}

// secretFault looks at the secret part: in the clear, or encrypted.
func (k *pgpKey) secretFault(f *pgpFields) string {
	usage := f.byte()
	cipher := usage
	switch usage {
	case 0:
		return k.clearFault(f)
	case 253, 254, 255:
		cipher = f.byte()
		if usage == 253 {
			f.byte()
		}
		if stub := f.s2k(); stub {
			return "" // the secret is elsewhere, as on a card
		}
	}
	block := 16
	if cipher >= 1 && cipher <= 4 {
		block = 8
	}
	f.take(block) // the initial vector; of AEAD a nonce, which is shorter
	switch {
	case usage == -1 || f.short || len(f.b) == 0 && usage != 253:
		return "has no secret part, or not all of it"
	case zeroRun(f.b, sealedZeros) >= 0:
		return "has an encrypted part with a run of NUL bytes in it"
	}
	return ""
}

// clearFault looks at a secret part that no passphrase protects.
func (k *pgpKey) clearFault(f *pgpFields) string {
	if f.short || len(f.b) < 2 {
		return "has no secret part"
	}
	sum := uint16(0)
	for _, c := range f.b[:len(f.b)-2] {
		sum += uint16(c)
	}
	if binary.BigEndian.Uint16(f.b[len(f.b)-2:]) != sum {
		return "has a secret part that does not fit its checksum"
	}
	f.b = f.b[:len(f.b)-2]
	if !k.secretFits(f) {
		return "has a secret part that does not yield its public one"
	}
	return ""
}

func (k *pgpKey) secretFits(f *pgpFields) bool {
	switch k.algorithm {
	case 1, 2, 3:
		d, p, q, u := mpiOf(f), mpiOf(f), mpiOf(f), mpiOf(f)
		return !f.short && rsaNumbers{n: numberOf(k.numbers[0]), e: numberOf(k.numbers[1]), d: d, p: q, q: p, qInv: u}.fit()
	case 17:
		x := mpiOf(f)
		n := k.numbers
		return !f.short && dsaFits(numberOf(n[0]), numberOf(n[1]), numberOf(n[2]), numberOf(n[3]), x)
	case 18, 19, 22:
		secret := f.mpi()
		return !f.short && k.curveFits(secret)
	case 25:
		return x25519Fits(f.take(32), k.numbers[0])
	case 27:
		return ed25519Fits(f.take(32), k.numbers[0])
	}
	return true
}

func mpiOf(f *pgpFields) *big.Int { return numberOf(f.mpi()) }
func numberOf(b []byte) *big.Int  { return new(big.Int).SetBytes(b) }
func x25519Fits(seed, public []byte) bool {
	key, err := ecdh.X25519().NewPrivateKey(seed)
	return err == nil && slices.Equal(key.PublicKey().Bytes(), public)
}

// curveFits compares a scalar with the point; one on a curve that is not known passes.
func (k *pgpKey) curveFits(secret []byte) bool {
	point := k.numbers[0]
	if curve := pgpCurve(k.curve); curve != nil {
		return ecFits(curve, numberOf(secret), point)
	}
	if len(point) != 33 || point[0] != 0x40 {
		return true
	}
	switch k.curve {
	case pgpEd25519:
		return len(secret) <= 32 && ed25519Fits(numberOf(secret).FillBytes(make([]byte, 32)), point[1:])
	case pgpCurve25519:
		if len(secret) > 32 {
			return false
		}
		scalar := numberOf(secret).FillBytes(make([]byte, 32))
		slices.Reverse(scalar)
		return x25519Fits(scalar, point[1:])
	}
	return true
}

const (
	pgpEd25519    = "\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"
	pgpCurve25519 = "\x2b\x06\x01\x04\x01\x97\x55\x01\x05\x01"
)

// pgpCurve gives a curve of NIST by its object identifier.
func pgpCurve(oid string) elliptic.Curve {
	switch oid {
	case "\x2a\x86\x48\xce\x3d\x03\x01\x07":
		return elliptic.P256()
	case "\x2b\x81\x04\x00\x22":
		return elliptic.P384()
	case "\x2b\x81\x04\x00\x23":
		return elliptic.P521()
	}
	return nil
}
