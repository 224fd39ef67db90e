package virtual

import (
	"bytes"
	"crypto/subtle"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Defaults of PIV cards, which everybody knows.
const (
	DefaultPIN = "123456"
	DefaultPUK = "12345678"
)

// References of PIV codes (SP 800-73-4 part 2, 2.4.3).
const (
	pinReference = 0x80
	pukReference = 0x81
	pivCodeSize  = 8
)

// codes are the PIN and the PUK as they stand. The image keeps them.
type codes struct {
	PIN      []byte `json:"pin,omitempty"`
	PUK      []byte `json:"puk,omitempty"`
	Tries    int    `json:"tries"` // left for the PIN
	PUKTries int    `json:"puk_tries"`
	Off      bool   `json:"pin_off,omitempty"` // by DISABLE VERIFICATION REQUIREMENT
}

func (o Options) codes() codes {
	pin, puk := bytes.Clone(o.PIN), bytes.Clone(o.PUK)
	if o.PIV != nil {
		pin, puk = padded(pin), padded(puk)
	}
	return codes{PIN: pin, PUK: puk, Tries: o.Tries, PUKTries: o.Tries}
}

// padded fills a PIV code up.
func padded(code []byte) []byte {
	return append(bytes.Clone(code), bytes.Repeat([]byte{0xFF}, max(pivCodeSize-len(code), 0))...)
}

// check compares a code at the price of a try, and gives all back if it is right.
func (c *Card) check(code, right []byte, tries *int) uint16 {
	if *tries == 0 {
		return iso7816.SWBlocked
	}
	if subtle.ConstantTimeCompare(code, right) == 1 {
		*tries = c.options.Tries
		return iso7816.SWOK
	}
	*tries--
	return 0x63C0 | uint16(min(*tries, 15))
}

func (c *Card) checkPIN(code []byte) uint16 {
	sw := c.check(code, c.codes.PIN, &c.codes.Tries)
	c.session.verified = sw == iso7816.SWOK
	return sw
}

// knows tells whether a command is for a PIN that the card has.
func (c *Card) knows(command iso7816.Command) bool {
	if c.piv != nil {
		return command.P2 == pinReference
	}
	return len(c.codes.PIN) > 0
}

// verify is VERIFY. Without data it tells how many tries are left, at no cost.
func (c *Card) verify(command iso7816.Command) iso7816.Response {
	switch {
	case !c.knows(command):
		return status(iso7816.SWReferenceMissing)
	case len(command.Data) > 0 && !c.fitting(command.Data):
		return status(iso7816.SWWrongData)
	case c.codes.Tries == 0:
		return status(iso7816.SWBlocked)
	case len(command.Data) > 0:
		return status(c.checkPIN(command.Data))
	case c.session.verified || c.codes.Off:
		return status(iso7816.SWOK)
	}
	return status(0x63C0 | uint16(min(c.codes.Tries, 15)))
}

// fitting tells whether the data can be codes: PIV cards want them padded.
func (c *Card) fitting(data []byte) bool { return c.piv == nil || len(data)%pivCodeSize == 0 }

// split takes an old code, which has the length of the present one, and a new
// one apart.
func (c *Card) split(data, present []byte) (old, code []byte, ok bool) {
	n := len(present)
	if len(data) <= n || c.piv != nil && len(data) != 2*pivCodeSize || len(data)-n > 16 {
		return nil, nil, false
	}
	return data[:n], bytes.Clone(data[n:]), true
}

// change is CHANGE REFERENCE DATA.
func (c *Card) change(command iso7816.Command) iso7816.Response {
	right, tries := &c.codes.PIN, &c.codes.Tries
	if c.piv != nil && command.P2 == pukReference {
		right, tries = &c.codes.PUK, &c.codes.PUKTries
	} else if c.piv != nil && command.P2 != pinReference {
		return status(iso7816.SWReferenceMissing)
	}
	if command.P1 == 1 && c.piv == nil {
		return c.setPIN(command.Data)
	}
	if command.P1 != 0 {
		return status(iso7816.SWWrongP1P2)
	}
	if len(*right) == 0 {
		return status(iso7816.SWReferenceMissing)
	}
	old, code, ok := c.split(command.Data, *right)
	if !ok {
		return status(iso7816.SWWrongData)
	}
	sw := c.check(old, *right, tries)
	if sw == iso7816.SWOK {
		*right = code
	}
	return status(sw)
}

// setPIN gives a PIN to a card that has none.
func (c *Card) setPIN(code []byte) iso7816.Response {
	switch {
	case len(c.codes.PIN) > 0:
		return status(iso7816.SWSecurity)
	case len(code) == 0 || len(code) > 16:
		return status(iso7816.SWWrongData)
	}
	c.codes.PIN, c.codes.Tries = bytes.Clone(code), c.options.Tries
	return status(iso7816.SWOK)
}

// unblock is RESET RETRY COUNTER with the PUK and a new PIN.
func (c *Card) unblock(command iso7816.Command) iso7816.Response {
	if !c.knows(command) {
		return status(iso7816.SWReferenceMissing)
	}
	puk, code, ok := c.split(command.Data, c.codes.PUK)
	if !ok {
		return status(iso7816.SWWrongData)
	}
	sw := c.check(puk, c.codes.PUK, &c.codes.PUKTries)
	if sw == iso7816.SWOK {
		c.codes.PIN, c.codes.Tries, c.session.verified = code, c.options.Tries, false
	}
	return status(sw)
}

// require is ENABLE and DISABLE VERIFICATION REQUIREMENT.
func (c *Card) require(command iso7816.Command, on bool) iso7816.Response {
	if c.piv != nil {
		return status(iso7816.SWUnknownINS)
	}
	if !c.knows(command) {
		return status(iso7816.SWReferenceMissing)
	}
	sw := c.checkPIN(command.Data)
	if sw == iso7816.SWOK {
		c.codes.Off = !on
	}
	return status(sw)
}

func (c *Card) mayWrite() bool {
	return len(c.codes.PIN) == 0 || c.codes.Off || c.session.verified
}
