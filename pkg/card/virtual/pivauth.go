package virtual

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/subtle"
	"errors"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Keys of PIV cards.
const (
	keyManagement = 0x9B
	keyCard       = 0x9E
)

// Tags in a dynamic authentication template.
const (
	tagTemplate  = 0x7C
	tagWitness   = 0x80
	tagChallenge = 0x81
	tagResponse  = 0x82
)

// cipher is the management key's.
func (a *application) cipher() (cipher.Block, error) {
	size := map[byte]int{AlgorithmTDES: 24, AlgorithmAES128: 16, AlgorithmAES192: 24, AlgorithmAES256: 32}[a.Algorithm]
	switch {
	case size == 0 || len(a.Key) != size:
		return nil, errors.New("management key and algorithm do not fit")
	case a.Algorithm == AlgorithmTDES:
		return des.NewTripleDESCipher(a.Key)
	}
	return aes.NewCipher(a.Key)
}

// template takes the fields of a dynamic authentication template.
func template(data []byte) (map[byte][]byte, bool) {
	outer, err := splitTLV(data)
	if err != nil || len(outer) != 1 || outer[0].tag != tagTemplate {
		return nil, false
	}
	inner, err := splitTLV(outer[0].value)
	if err != nil {
		return nil, false
	}
	fields := map[byte][]byte{}
	for _, f := range inner {
		fields[f.tag] = f.value
	}
	return fields, len(fields) == len(inner)
}

// authenticate is GENERAL AUTHENTICATE.
func (c *Card) authenticate(command iso7816.Command) iso7816.Response {
	fields, ok := template(command.Data)
	if !ok {
		return status(iso7816.SWWrongData)
	}
	switch command.P2 {
	case keyManagement:
		if command.P1 != c.piv.Algorithm {
			return status(iso7816.SWWrongP1P2)
		}
		return c.showKey(fields)
	case keyCard:
		return c.sign(command.P1, fields)
	}
	return status(iso7816.SWReferenceMissing)
}

// showKey is mutual or external authentication by the management key (SP
// 800-73-4 part 2, A.1).
func (c *Card) showKey(fields map[byte][]byte) iso7816.Response {
	block, err := c.piv.cipher()
	if err != nil {
		return status(iso7816.SWConditions)
	}
	s := &c.session.piv
	witness, challenge := s.witness, s.challenge
	s.witness, s.challenge = nil, nil
	w, isMutual := fields[tagWitness]
	ch, isExternal := fields[tagChallenge]
	r, isResponse := fields[tagResponse]
	switch {
	case isMutual && c.options.Quirks.NoMutual:
		return status(iso7816.SWWrongData)
	case isMutual && len(w) == 0:
		s.witness = random(block.BlockSize())
		return encrypted(tagWitness, block, s.witness)
	case isMutual && len(ch) == block.BlockSize():
		if !equal(w, witness) {
			return status(iso7816.SWSecurity)
		}
		s.admin = true
		return encrypted(tagResponse, block, ch)
	case isExternal && len(ch) == 0 && !isResponse:
		s.challenge = random(block.BlockSize())
		return answered(tagChallenge, s.challenge)
	case isResponse && len(challenge) > 0:
		want := make([]byte, len(challenge))
		block.Encrypt(want, challenge)
		if !equal(r, want) {
			return status(iso7816.SWSecurity)
		}
		s.admin = true
		return status(iso7816.SWOK)
	}
	return status(iso7816.SWWrongData)
}

func equal(a, b []byte) bool { return len(b) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func encrypted(tag byte, block cipher.Block, plain []byte) iso7816.Response {
	b := make([]byte, len(plain))
	block.Encrypt(b, plain)
	return answered(tag, b)
}

func answered(tag byte, value []byte) iso7816.Response {
	return iso7816.Response{Data: wrap(tagTemplate, wrap(tag, value)), SW: iso7816.SWOK}
}

// sign signs a digest with the key of slot 9E, which needs no PIN.
func (c *Card) sign(algorithm byte, fields map[byte][]byte) iso7816.Response {
	switch {
	case c.piv.private == nil:
		return status(iso7816.SWReferenceMissing)
	case algorithm != algorithmP256:
		return status(iso7816.SWWrongP1P2)
	case len(fields[tagChallenge]) != 32:
		return status(iso7816.SWWrongData)
	}
	signature, err := ecdsa.SignASN1(rand.Reader, c.piv.private, fields[tagChallenge])
	if err != nil {
		return status(iso7816.SWConditions)
	}
	return answered(tagResponse, signature)
}

// point is the public half of the key of slot 9E, in tag 86.
func (a *application) point() []byte {
	b, err := a.private.PublicKey.Bytes()
	if err != nil {
		return nil
	}
	return wrap(0x86, b)
}

// generate is GENERATE ASYMMETRIC KEY PAIR for slot 9E.
func (c *Card) generate(command iso7816.Command) iso7816.Response {
	wanted, err := splitTLV(command.Data)
	switch {
	case !c.session.piv.admin:
		return status(iso7816.SWSecurity)
	case command.P2 != keyCard:
		return status(iso7816.SWWrongP1P2)
	case err != nil || len(wanted) != 1 || wanted[0].tag != 0xAC || string(wanted[0].value) != "\x80\x01\x11":
		return status(iso7816.SWWrongData)
	}
	if err := c.piv.generate(); err != nil {
		return status(iso7816.SWMemoryFailure)
	}
	point := c.piv.point()
	return iso7816.Response{Data: append([]byte{0x7F, 0x49, byte(len(point))}, point...), SW: iso7816.SWOK}
}

// metadata is GET METADATA, a YubiKey's.
func (c *Card) metadata(command iso7816.Command) iso7816.Response {
	switch {
	case c.options.Quirks.NoMetadata:
		return status(iso7816.SWUnknownINS)
	case command.P2 == keyManagement:
		return iso7816.Response{Data: []byte{1, 1, c.piv.Algorithm, 2, 2, 0, 1}, SW: iso7816.SWOK}
	case command.P2 == keyCard && c.piv.private != nil:
		data := append([]byte{1, 1, algorithmP256, 2, 2, 1, 1, 3, 1, 1}, wrap(4, c.piv.point())...)
		return iso7816.Response{Data: data, SW: iso7816.SWOK}
	}
	return status(iso7816.SWReferenceMissing)
}
