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
}

// Options make a card what it is.
type Options struct {
	Capacity int     // bytes of memory, 0 for DefaultCapacity
	Image    string  // file that keeps the contents, "" for none
	Files    []*File // below the master file, if the image is new or there is none
	ATR      []byte  // nil for one that says T=1, or T=0 by Quirks
	Quirks   Quirks

	PIN   []byte // if set, CREATE, DELETE and UPDATE need VERIFY before
	Tries int    // of the PIN, 0 for 3
}

// Counts are what went over the card's contacts since it was made.
type Counts struct {
	APDUs   int
	In, Out int // bytes of command and response APDUs
	Written int // bytes of data in UPDATE BINARY
	Read    int // bytes of data in answers to READ BINARY
}

// Card is a virtual card. It is safe for concurrent use.
type Card struct {
	mu      sync.Mutex
	options Options
	root    *File
	tries   int // left for the PIN
	hook    Hook
	counts  Counts
	session session
}

// session is what a reset forgets.
type session struct {
	dir, file *File // the current DF; the current EF or nil
	verified  bool
	pending   []byte           // response data still to be fetched by GET RESPONSE
	chain     *iso7816.Command // collected by command chaining
}

// New makes a card, or takes up the one in Options.Image.
func New(options Options) (*Card, error) {
	if options.Capacity == 0 {
		options.Capacity = DefaultCapacity
	}
	if options.Tries == 0 {
		options.Tries = 3
	}
	if options.ATR == nil {
		options.ATR = defaultATR(options.Quirks.T0)
	}
	c := &Card{options: options, tries: options.Tries, root: &File{FID: fidMF, Dir: true}}
	for _, file := range options.Files {
		c.root.Children = append(c.root.Children, file.clone())
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

// defaultATR is an answer to reset with the historical bytes "reprov" (ISO/IEC
// 7816-3): T0, TD1 (T=1 only), historical bytes, TCK.
func defaultATR(t0 bool) []byte {
	if t0 {
		return []byte("\x3B\x06reprov")
	}
	atr := []byte("\x3B\x86\x01reprov")
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
// back the tries of its PIN: the card is as New would make it.
func (c *Card) Replace(files []*File) error {
	root := &File{FID: fidMF, Dir: true}
	for _, file := range files {
		root.Children = append(root.Children, file.clone())
	}
	if err := root.check(0); err != nil {
		return fmt.Errorf("cannot replace files of virtual card: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.root, c.tries, c.session = root, c.options.Tries, session{dir: root}
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
