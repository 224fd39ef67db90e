package oled_test

import (
	"errors"
	"fmt"
	"sync"

	"periph.io/x/conn/v3/i2c/i2ctest"
	"periph.io/x/conn/v3/physic"
)

// chip is an SSD1306 as its data sheet (rev 1.1, tables 9 and 10) has it: it carries out
// the commands that reach its address.
type chip struct {
	mu       sync.Mutex
	address  uint16
	gone     bool
	ram      [8][128]byte
	page     int
	column   int
	on       bool
	contrast byte
	remap    byte // A0 or A1
}

var errNoAnswer = errors.New("remote I/O error")

func (c *chip) String() string                    { return "chip" }
func (c *chip) SetSpeed(f physic.Frequency) error { return nil }
func (c *chip) Close() error                      { return nil }

// move gives the chip another address.
func (c *chip) move(address uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.address = address
}

// power is what a power cycle leaves; the RAM's contents are not defined.
func (c *chip) power(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = !on
	c.on, c.contrast, c.remap, c.page, c.column = false, 0x7f, 0xa0, 0, 0
	for p := range c.ram {
		for x := range c.ram[p] {
			c.ram[p][x] = byte(p * x)
		}
	}
}

func (c *chip) Tx(address uint16, w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || address != c.address {
		return errNoAnswer
	}
	if len(r) != 0 || len(w) == 0 {
		return errors.New("this chip is only written to")
	}
	switch w[0] {
	case 0x40:
		for _, b := range w[1:] {
			c.ram[c.page][c.column] = b
			c.column = (c.column + 1) % 128
		}
		return nil
	case 0x00:
		return c.commands(w[1:])
	}
	return fmt.Errorf("control byte %x", w[0])
}

func (c *chip) commands(w []byte) error {
	arguments := map[byte]int{0xd3: 1, 0xda: 1, 0x81: 1, 0xd5: 1, 0x8d: 1, 0xd9: 1, 0xdb: 1, 0xa8: 1, 0x20: 1, 0x21: 2, 0x22: 2}
	for len(w) > 0 {
		op, n := w[0], arguments[w[0]]
		if len(w) < 1+n {
			return fmt.Errorf("command %x is cut", op)
		}
		switch {
		case op == 0xae, op == 0xaf:
			c.on = op == 0xaf
		case op == 0x81:
			c.contrast = w[1]
		case op == 0xa0, op == 0xa1:
			c.remap = op
		case op >= 0xb0 && op <= 0xb7:
			c.page = int(op & 7)
		case op <= 0x0f:
			c.column = c.column&0xf0 | int(op)
		case op >= 0x10 && op <= 0x17:
			c.column = c.column&0x0f | int(op&7)<<4
		}
		w = w[1+n:]
	}
	return nil
}

type look struct {
	on       bool
	contrast byte
	remap    byte
	ram      [8][128]byte
}

func (c *chip) look() look {
	c.mu.Lock()
	defer c.mu.Unlock()
	return look{c.on, c.contrast, c.remap, c.ram}
}

// closer makes a bus of the test kit one that can be closed.
type closer struct{ *i2ctest.Record }

func (closer) Close() error { return nil }
