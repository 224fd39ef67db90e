package virtual

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Of PIV cards where Options name nothing, in bytes: a YubiKey's.
const (
	DefaultPIVCapacity = 51200
	DefaultMaxObject   = 3063
)

// objectCost is the card's memory that each data object takes beside its contents.
const objectCost = 8

// Algorithms of the management key and of keys.
const (
	AlgorithmTDES   = 0x03
	AlgorithmAES128 = 0x08
	AlgorithmAES192 = 0x0A
	AlgorithmAES256 = 0x0C
	algorithmP256   = 0x11
)

// PIV makes a card a PIV card (NIST SP 800-73-4): data objects, the management
// key, PIN and PUK, and slot 9E for a key on ECC P-256.
type PIV struct {
	Algorithm     byte              // of the management key, 0 for AlgorithmTDES
	ManagementKey []byte            // nil for the one that everybody knows, for 24 bytes
	Objects       map[uint32][]byte // contents of data objects, by tag, if the image is new or there is none
	CardKey       bool              // slot 9E has a key from the start
}

// application is what a PIV card keeps.
type application struct {
	Algorithm byte              `json:"algorithm"`
	Key       []byte            `json:"management_key"`
	Objects   map[uint32][]byte `json:"objects"`
	CardKey   []byte            `json:"card_key,omitempty"` // PKCS #8, of slot 9E

	private *ecdsa.PrivateKey
}

// pivSession is what a reset of a PIV card forgets.
type pivSession struct {
	selected  bool
	admin     bool   // the management key was shown
	witness   []byte // plain, of a mutual authentication under way
	challenge []byte // of an external one
	tear      Action // Tear or Wipe: PUT DATA does not come to its end
}

func (p *PIV) application() (*application, error) {
	a := &application{Algorithm: p.Algorithm, Key: bytes.Clone(p.ManagementKey), Objects: map[uint32][]byte{}}
	if a.Algorithm == 0 {
		a.Algorithm = AlgorithmTDES
	}
	if a.Key == nil {
		a.Key = slices.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 3)
	}
	for tag, contents := range p.Objects {
		a.Objects[tag] = bytes.Clone(contents)
	}
	if p.CardKey {
		if err := a.generate(); err != nil {
			return nil, err
		}
	}
	return a, a.load()
}

// generate makes the key of slot 9E.
func (a *application) generate() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	a.CardKey, err = x509.MarshalPKCS8PrivateKey(private)
	a.private = private
	return err
}

var errBadPIV = errors.New("not a PIV card")

// load checks what the card keeps, and parses its key.
func (a *application) load() error {
	if _, err := a.cipher(); err != nil {
		return fmt.Errorf("%w: %w", errBadPIV, err)
	}
	if a.Objects == nil {
		a.Objects = map[uint32][]byte{}
	}
	if a.CardKey == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(a.CardKey)
	if err != nil {
		return fmt.Errorf("%w: %w", errBadPIV, err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return errBadPIV
	}
	a.private = private
	return nil
}

// used is the memory that the objects take, but for one.
func (a *application) used(but uint32) int {
	n := 0
	for tag, contents := range a.Objects {
		if tag != but {
			n += objectCost + len(contents)
		}
	}
	return n
}

// Objects copies the data objects of a PIV card, by tag.
func (c *Card) Objects() map[uint32][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.piv == nil {
		return nil
	}
	objects := map[uint32][]byte{}
	for tag, contents := range c.piv.Objects {
		objects[tag] = bytes.Clone(contents)
	}
	return objects
}

// SetObject gives a data object of a PIV card other contents, nil for none, as
// the card's issuer or another program would, and past all limits.
func (c *Card) SetObject(tag uint32, contents []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.piv == nil {
		return errBadPIV
	}
	if contents == nil {
		delete(c.piv.Objects, tag)
	} else {
		c.piv.Objects[tag] = bytes.Clone(contents)
	}
	return c.save()
}

// pivAID is the PIV application's name without its version.
func pivAID() []byte { return []byte{0xA0, 0, 0, 3, 8, 0, 0, 0x10, 0} }

// runPIV runs a command on a PIV card.
func (c *Card) runPIV(command iso7816.Command) iso7816.Response {
	if command.INS == insSelect {
		return c.selectPIV(command)
	}
	if !c.session.piv.selected {
		return status(iso7816.SWUnknownINS)
	}
	switch command.INS {
	case insGetData:
		return c.getData(command)
	case insPutData:
		return c.putData(command)
	case insAuthenticate:
		return c.authenticate(command)
	case insGenerate:
		return c.generate(command)
	case insMetadata:
		return c.metadata(command)
	case insVersion:
		return iso7816.Response{Data: []byte{5, 4, 3}, SW: iso7816.SWOK}
	}
	return c.runCode(command)
}

// selectPIV is SELECT by the name of the application, cut short or not.
func (c *Card) selectPIV(command iso7816.Command) iso7816.Response {
	name := command.Data
	full := append(pivAID(), 1, 0)
	if command.P1 != 0x04 || len(name) < 5 || !bytes.HasPrefix(full, name) {
		return status(iso7816.SWNotFound)
	}
	if !c.options.Quirks.KeepsStatus || !c.session.piv.selected {
		c.session.verified, c.session.piv = false, pivSession{selected: true}
	}
	properties := wrap(0x4F, full[5:])
	authority := wrap(0x79, wrap(0x4F, full[:5]))
	return iso7816.Response{Data: wrap(0x61, append(properties, authority...)), SW: iso7816.SWOK}
}
