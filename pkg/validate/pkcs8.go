package validate

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// privateKeyInfo is PKCS #8, or RFC 5958 with its public key.
type privateKeyInfo struct {
	Version    int
	Algorithm  algorithmID
	Key        []byte
	Attributes asn1.RawValue  `asn1:"optional,tag:0"`
	Public     asn1.BitString `asn1:"optional,tag:1"`
}

func pkcs8Contents(der []byte) (public []byte, fault string) {
	var info privateKeyInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || info.Version < 0 || info.Version > 1 {
		return nil, "is no whole PKCS #8"
	}
	switch info.Algorithm.Algorithm.String() {
	case "1.2.840.113549.1.1.1":
		return pkcs1Contents(info.Key)
	case "1.2.840.10045.2.1":
		return sec1Contents(info.Algorithm.Parameters.FullBytes, info.Key)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if info.Algorithm.known() || len(info.Key) == 0 {
			return nil, "is no whole key"
		}
		return nil, berKeyFault(info.Key)
	}
	signer, ok := key.(interface{ Public() any })
	if !ok {
		return nil, ""
	}
	return sshOf(signer.Public()), ""
}

// berKeyFault looks at a key of an algorithm that is not known: mostly it is DER again.
func berKeyFault(key []byte) string {
	if key[0] != 0x30 && key[0] != 0x04 && key[0] != 0x02 {
		return ""
	}
	return berFault(key)
}

// sshOf gives a public key in OpenSSH's wire format; nil when it has none.
func sshOf(public any) []byte {
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil
	}
	return key.Marshal()
}

// pkcs8SealedFault looks at EncryptedPrivateKeyInfo: an algorithm, and what it encrypted.
func pkcs8SealedFault(der []byte) string {
	var sealed struct {
		Algorithm algorithmID
		Data      []byte
	}
	rest, err := asn1.Unmarshal(der, &sealed)
	switch {
	case err != nil || len(rest) > 0 || len(sealed.Data) == 0:
		return "is no whole encrypted PKCS #8"
	case len(sealed.Data)%8 != 0:
		return "is encrypted and does not have whole blocks"
	case zeroRun(sealed.Data, sealedZeros) >= 0:
		return "is encrypted and holds a run of NUL bytes"
	}
	return pbeFault(sealed.Algorithm)
}

// pbeFault looks at the parameters of a password's algorithm, of which PBES2 is the one
// that tells more than a salt and a count.
func pbeFault(a algorithmID) string {
	const fault = "tells in a broken way how it is encrypted"
	if len(a.Parameters.FullBytes) == 0 {
		return fault
	}
	if a.Algorithm.String() != "1.2.840.113549.1.5.13" {
		var pbe struct {
			Salt  []byte
			Count int
		}
		if rest, err := asn1.Unmarshal(a.Parameters.FullBytes, &pbe); err != nil || len(rest) > 0 || pbe.Count < 1 {
			return fault
		}
		return ""
	}
	var pbes2 struct{ Derivation, Encryption algorithmID }
	if rest, err := asn1.Unmarshal(a.Parameters.FullBytes, &pbes2); err != nil || len(rest) > 0 {
		return fault
	}
	return ""
}

type pkcs1Key struct {
	Version                     int
	N, E, D, P, Q, DP, DQ, QInv *big.Int
	Others                      asn1.RawValue `asn1:"optional"`
}

func pkcs1Contents(der []byte) (public []byte, fault string) {
	if fault := berFault(der); fault != "" {
		return nil, fault
	}
	var k pkcs1Key
	if rest, err := asn1.Unmarshal(der, &k); err != nil || len(rest) > 0 {
		return nil, "is no whole RSA key"
	}
	if k.Version == 1 && len(k.Others.FullBytes) > 0 {
		return nil, "" // of more than two primes; nobody uses them
	}
	if k.Version != 0 || len(k.Others.FullBytes) > 0 || !(rsaNumbers{k.N, k.E, k.D, k.P, k.Q, k.DP, k.DQ, k.QInv}).fit() {
		return nil, "holds numbers that make no RSA key"
	}
	return sshString("ssh-rsa", sshMpint(k.E), sshMpint(k.N)), ""
}

type sec1Key struct {
	Version int
	Private []byte
	Curve   asn1.RawValue  `asn1:"optional,explicit,tag:0"`
	Public  asn1.BitString `asn1:"optional,explicit,tag:1"`
}

// sec1Contents looks at a key on an elliptic curve, which its wrapping may name.
func sec1Contents(parameters, der []byte) (public []byte, fault string) {
	if fault := berFault(der); fault != "" {
		return nil, fault
	}
	var k sec1Key
	if rest, err := asn1.Unmarshal(der, &k); err != nil || len(rest) > 0 || k.Version != 1 || len(k.Private) == 0 {
		return nil, "is no whole key of an elliptic curve"
	}
	if parameters == nil {
		parameters = k.Curve.Bytes
	}
	curve, name := namedCurve(parameters)
	if curve == nil {
		return nil, ""
	}
	point := k.Public.RightAlign()
	if len(point) > 0 && point[0] != 4 {
		return nil, "" // compressed
	}
	if len(point) > 0 && !ecFits(curve, new(big.Int).SetBytes(k.Private), point) {
		return nil, "does not yield its own public key"
	}
	if len(point) == 0 || name == "" {
		return nil, ""
	}
	return sshString("ecdsa-sha2-"+name, name, string(point)), ""
}

// namedCurve gives a curve of NIST, and what OpenSSH calls it.
func namedCurve(parameters []byte) (elliptic.Curve, string) {
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(parameters, &oid); err != nil {
		return nil, ""
	}
	switch oid.String() {
	case "1.3.132.0.33":
		return elliptic.P224(), ""
	case "1.2.840.10045.3.1.7":
		return elliptic.P256(), "nistp256"
	case "1.3.132.0.34":
		return elliptic.P384(), "nistp384"
	case "1.3.132.0.35":
		return elliptic.P521(), "nistp521"
	}
	return nil, ""
}

func dsaContents(der []byte) (public []byte, fault string) {
	var k struct {
		Version       int
		P, Q, G, Y, X *big.Int
	}
	if rest, err := asn1.Unmarshal(der, &k); err != nil || len(rest) > 0 || !dsaFits(k.P, k.Q, k.G, k.Y, k.X) {
		return nil, "holds numbers that make no DSA key"
	}
	return sshString("ssh-dss", sshMpint(k.P), sshMpint(k.Q), sshMpint(k.G), sshMpint(k.Y)), ""
}
