package virtual

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// DefaultCapacity is a card's memory, in bytes, where Options names none: that
// of a common 80 kB card.
const DefaultCapacity = 80 << 10

// Quirks are ways in which real cards differ. The zero value is a card that
// takes short and extended APDUs and gives what it is asked for.
type Quirks struct {
	T0           bool // the ATR offers T=0, and commands with data announce their response by 61xx
	GetResponse  int  // responses of more bytes than this come by GET RESPONSE, in such pieces; 0 never
	ExactLe      bool // a Le above what there is gives 6Cxx
	ShortOnly    bool // extended APDUs give 6700
	MaxData      int  // more bytes of command data, or a larger Le, give 6700; 0 for no limit
	ReadAtMost   int  // READ BINARY gives at most as many bytes, with 9000; 0 for no limit
	PastEnd      uint16
	SizeTag      byte // CREATE FILE takes the size from this tag only; 0 from either
	OneSizeTag   bool // CREATE FILE with both size tags gives 6A80
	NoDelete     bool // DELETE FILE gives 6D00
	NoEFSelector bool // SELECT with P1=02 gives 6A86
	Dirty        bool // new files hold what was in memory before, not zeros

	// Of PIV cards.
	MaxObject    int  // bytes in an object: more give 6700; 0 for DefaultMaxObject
	OutOfPlace   bool // an object is written beside what it held before, which takes room
	EmptyObjects bool // an object that is not there reads as an empty one, not as 6A82
	LongLengths  bool // lengths in answers are longer than they need be
	CutShort     bool // what does not fit Le is cut off with 9000, not announced by 61xx
	NoMetadata   bool // GET METADATA gives 6D00, as it does on most cards
	NoMutual     bool // the management key is shown by external authentication only
	NoEmptyValue bool // PUT DATA of nothing gives 6A80
	KeepsStatus  bool // SELECT of the application that is selected forgets neither PIN nor key, as the standard has it
}

// Options make a card what it is.
type Options struct {
	Capacity int     // bytes of memory, 0 for DefaultCapacity
	Image    string  // file that keeps the contents, "" for none
	Files    []*File // below the master file, if the image is new or there is none
	ATR      []byte  // nil for one that says T=1, or T=0 by Quirks
	Quirks   Quirks

	PIN   []byte // if set, CREATE, DELETE and UPDATE need VERIFY before; nil is DefaultPIN on PIV cards
	PUK   []byte // unblocks the PIN, nil for DefaultPUK
	Tries int    // of PIN and PUK, 0 for 3

	PIV *PIV // makes the card a PIV card, without a file system
}

// Counts are what went over the card's contacts since it was made.
type Counts struct {
	APDUs   int
	In, Out int // bytes of command and response APDUs
	Written int // bytes of data in UPDATE BINARY and PUT DATA
	Read    int // bytes of data in answers to READ BINARY and GET DATA
}

// Card is a virtual card. It is safe for concurrent use.
type Card struct {
	mu      sync.Mutex
	options Options
	root    *File
	piv     *application // nil for a card with a file system
	codes   codes
	hook    Hook
	counts  Counts
	session session
}

// session is what a reset forgets.
type session struct {
	dir, file *File // the current DF; the current EF or nil
	verified  bool
	piv       pivSession
	pending   []byte           // response data still to be fetched by GET RESPONSE
	chain     *iso7816.Command // collected by command chaining
}

// New makes a card, or takes up the one in Options.Image.
func New(options Options) (*Card, error) {
	options = options.withDefaults()
	c := &Card{options: options, codes: options.codes(), root: &File{FID: fidMF, Dir: true}}
	for _, file := range options.Files {
		c.root.Children = append(c.root.Children, file.clone())
	}
	if options.PIV != nil {
		var err error
		if c.piv, err = options.PIV.application(); err != nil {
			return nil, fmt.Errorf("cannot make virtual card: %w", err)
		}
	}
	if err := c.takeUp(); err != nil {
		return nil, fmt.Errorf("cannot make virtual card: %w", err)
	}
	if err := c.root.check(0); err != nil {
		return nil, fmt.Errorf("cannot make virtual card: %w", err)
	}
	c.session.dir = c.root
	return c, nil
}

func (o Options) withDefaults() Options {
	if o.Capacity == 0 {
		o.Capacity = DefaultCapacity
		if o.PIV != nil {
			o.Capacity = DefaultPIVCapacity
		}
	}
	if o.PIV != nil && o.PIN == nil {
		o.PIN = []byte(DefaultPIN)
	}
	if o.PUK == nil {
		o.PUK = []byte(DefaultPUK)
	}
	if o.Tries == 0 {
		o.Tries = 3
	}
	if o.Quirks.MaxObject == 0 {
		o.Quirks.MaxObject = DefaultMaxObject
	}
	if o.ATR == nil {
		o.ATR = defaultATR(o.Quirks.T0, o.PIV != nil && !o.Quirks.ShortOnly)
	}
	return o
}

// defaultATR is an answer to reset with the historical bytes "reprov", or with
// those of card capabilities that have extended lengths in them (ISO/IEC
// 7816-3): T0, TD1 (T=1 only), historical bytes, TCK.
func defaultATR(t0, extended bool) []byte {
	if t0 {
		return []byte("\x3B\x06reprov")
	}
	atr := []byte("\x3B\x86\x01reprov")
	if extended {
		atr = []byte("\x3B\x8C\x01\x80\x73\xC0\x21\xC0\x56reprov")
	}
	var check byte
	for _, b := range atr[1:] {
		check ^= b
	}
	return append(atr, check)
}

// ATR is the answer to reset.
func (c *Card) ATR() []byte { return bytes.Clone(c.options.ATR) }

// T0 tells whether the card speaks T=0.
func (c *Card) T0() bool { return c.options.Quirks.T0 }

// Reset does what power-on and reset do: the master file is selected and the PIN
// has to be verified again.
func (c *Card) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session{dir: c.root}
}

// Counts tells what went over the contacts so far.
func (c *Card) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// Files copies the files below the master file.
func (c *Card) Files() []*File {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.root.clone().Children
}

// Replace exchanges all files below the master file, resets the card and gives
// back the tries of its PIN: the card is as New would make it. A PIV card gets
// the objects and keys that its Options name.
func (c *Card) Replace(files []*File) error {
	root := &File{FID: fidMF, Dir: true}
	for _, file := range files {
		root.Children = append(root.Children, file.clone())
	}
	if err := root.check(0); err != nil {
		return fmt.Errorf("cannot replace files of virtual card: %w", err)
	}
	var fresh *application
	if c.options.PIV != nil {
		var err error
		if fresh, err = c.options.PIV.application(); err != nil {
			return fmt.Errorf("cannot replace objects of virtual card: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.piv = fresh
	c.root, c.codes, c.session = root, c.options.codes(), session{dir: root}
	return c.save()
}

// Transmit makes the card a card.Channel, without a reader in between. A card
// that a hook pulled gives card.ErrRemoved; a mute one waits for ctx.
func (c *Card) Transmit(ctx context.Context, apdu []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer, err := c.process(apdu)
	switch {
	case errors.Is(err, errPulled):
		return nil, card.ErrRemoved
	case errors.Is(err, errMute):
		<-ctx.Done()
		return nil, fmt.Errorf("%w: %w", card.ErrTimeout, ctx.Err())
	}
	return answer, err
}

var _ card.Channel = (*Card)(nil)
