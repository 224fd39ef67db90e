package validate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"math/big"
)

// numberMax is how many bits the numbers of a key have at most, so that a broken file
// cannot keep the machine busy.
const numberMax = 16 << 10

// dsaMax is the same for DSA, which takes longer and has keys of 3072 bits at most.
const dsaMax = 4 << 10

// Whether a private key fits its public one is arithmetic on a file that lies here;
// nobody measures how long it takes.

// rsaNumbers are the numbers of an RSA private key; dP, dQ and qInv may be nil.
type rsaNumbers struct {
	n, e, d, p, q, dP, dQ, qInv *big.Int
}

// fit tells whether the numbers belong together.
func (k rsaNumbers) fit() bool {
	one := big.NewInt(1)
	for _, x := range []*big.Int{k.n, k.e, k.d, k.p, k.q} {
		if x.Cmp(one) <= 0 || x.BitLen() > numberMax {
			return false
		}
	}
	if new(big.Int).Mul(k.p, k.q).Cmp(k.n) != 0 {
		return false
	}
	p1, q1 := new(big.Int).Sub(k.p, one), new(big.Int).Sub(k.q, one)
	return inverse(k.e, k.d, p1) && inverse(k.e, k.d, q1) &&
		(k.dP == nil || new(big.Int).Mod(k.d, p1).Cmp(k.dP) == 0) &&
		(k.dQ == nil || new(big.Int).Mod(k.d, q1).Cmp(k.dQ) == 0) &&
		(k.qInv == nil || k.qInv.Cmp(k.p) < 0 && inverse(k.qInv, k.q, k.p))
}

// inverse tells whether a times b is 1 modulo m.
func inverse(a, b, m *big.Int) bool {
	r := new(big.Int).Mul(a, b)
	return m.Sign() > 0 && r.Mod(r, m).Cmp(new(big.Int).Mod(big.NewInt(1), m)) == 0
}

// dsaFits tells whether y = g^x mod p, and whether g is of order q.
func dsaFits(p, q, g, y, x *big.Int) bool {
	one := big.NewInt(1)
	if p.BitLen() > dsaMax || p.Cmp(one) <= 0 || q.Cmp(one) <= 0 || q.Cmp(p) >= 0 ||
		x.Sign() <= 0 || x.Cmp(q) >= 0 || g.Cmp(one) <= 0 || g.Cmp(p) >= 0 {
		return false
	}
	return new(big.Int).Exp(g, x, p).Cmp(y) == 0 && new(big.Int).Exp(g, q, p).Cmp(one) == 0
}

// ecFits tells whether a private scalar yields a public point, which is not compressed.
func ecFits(curve elliptic.Curve, private *big.Int, public []byte) bool {
	size := (curve.Params().BitSize + 7) / 8
	if private.BitLen() > size*8 {
		return false
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, private.FillBytes(make([]byte, size)))
	if err != nil {
		return false
	}
	point, err := key.PublicKey.Bytes()
	return err == nil && bytes.Equal(point, public)
}

func ed25519Fits(seed, public []byte) bool {
	return len(seed) == ed25519.SeedSize &&
		bytes.Equal(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), public)
}
