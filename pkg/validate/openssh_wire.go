package validate

import (
	"crypto/elliptic"
	"encoding/binary"
	"math/big"
)

// sshWire reads what RFC 4251 section 5 lays down. After it came to an end too
// early, short is set, and all it gives is empty.
type sshWire struct {
	b     []byte
	short bool
}

func (w *sshWire) take(n int) []byte {
	if w.short || n < 0 || n > len(w.b) {
		w.short = true
		return nil
	}
	b := w.b[:n]
	w.b = w.b[n:]
	return b
}

func (w *sshWire) number() uint32 {
	b := w.take(4)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (w *sshWire) next() []byte {
	n := w.number()
	if uint64(n) > uint64(len(w.b)) {
		w.short = true
		return nil
	}
	return w.take(int(n))
}

func (w *sshWire) big() *big.Int { return new(big.Int).SetBytes(w.next()) }

func sshString(parts ...string) (b []byte) {
	for _, s := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

// sshMpint gives a positive number as RFC 4251 writes it.
func sshMpint(n *big.Int) string {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return string(b)
}

// sshPrivate reads the fields of a private key behind its kind, and gives the public
// key that they hold, in wire format.
func sshPrivate(kind string, w *sshWire) (public []byte, fault string) {
	switch kind {
	case "ssh-ed25519":
		public, fault = sshEd25519(kind, w)
	case "ssh-rsa":
		public, fault = sshRSA(kind, w)
	case "ssh-dss":
		public, fault = sshDSA(kind, w)
	case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
		public, fault = sshECDSA(kind, w)
	case "sk-ssh-ed25519@openssh.com":
		key, application := string(w.next()), string(w.next())
		public, fault = sshString(kind, key, application), sshHandle(w)
	case "sk-ecdsa-sha2-nistp256@openssh.com":
		curve, key, application := string(w.next()), string(w.next()), string(w.next())
		public, fault = sshString(kind, curve, key, application), sshHandle(w)
	default:
		return nil, "is of no kind that is known"
	}
	if w.short {
		fault = "is cut short"
	}
	return public, fault
}

// sshHandle reads what a key on a FIDO token keeps in its file.
func sshHandle(w *sshWire) string {
	w.take(1)
	w.next()
	w.next()
	return ""
}

func sshEd25519(kind string, w *sshWire) ([]byte, string) {
	public, private := w.next(), w.next()
	if len(private) != 64 || !ed25519Fits(private[:32], public) || !ed25519Fits(private[:32], private[32:]) {
		return nil, "does not yield its own public key"
	}
	return sshString(kind, string(public)), ""
}

func sshRSA(kind string, w *sshWire) ([]byte, string) {
	k := rsaNumbers{n: w.big(), e: w.big(), d: w.big(), qInv: w.big(), p: w.big(), q: w.big()}
	if !k.fit() {
		return nil, "holds numbers that make no RSA key"
	}
	return sshString(kind, sshMpint(k.e), sshMpint(k.n)), ""
}

func sshDSA(kind string, w *sshWire) ([]byte, string) {
	p, q, g, y, x := w.big(), w.big(), w.big(), w.big(), w.big()
	if !dsaFits(p, q, g, y, x) {
		return nil, "holds numbers that make no DSA key"
	}
	return sshString(kind, sshMpint(p), sshMpint(q), sshMpint(g), sshMpint(y)), ""
}

func sshECDSA(kind string, w *sshWire) ([]byte, string) {
	name, public, private := string(w.next()), w.next(), w.big()
	curves := map[string]elliptic.Curve{"nistp256": elliptic.P256(), "nistp384": elliptic.P384(), "nistp521": elliptic.P521()}
	curve := curves[name]
	if curve == nil || !ecFits(curve, private, public) {
		return nil, "does not yield its own public key"
	}
	return sshString(kind, name, string(public)), ""
}
