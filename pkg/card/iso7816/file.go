package iso7816

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// Instructions of the file profile.
const (
	insSelect = 0xA4
	insRead   = 0xB0
	insUpdate = 0xD6
	insCreate = 0xE0
	insDelete = 0xE4
)

// Parameters of SELECT (ISO/IEC 7816-4, 7.1.1).
const (
	selectByFID  = 0x00
	selectEF     = 0x02
	selectByName = 0x04
	noResponse   = 0x0C // P2: no FCI wanted; some cards fail when asked for one
)

// errNothingRead is a card's way to say that a read began past the end.
var errNothingRead = errors.New("no bytes read where some were wanted")

// fidMF is the master file.
const fidMF = 0x3F00

// fid is a file identifier.
type fid uint16

func (f fid) bytes() []byte { return []byte{byte(f >> 8), byte(f)} }

// files speaks the commands for files. It remembers the smallest pieces that
// the card made it fall back to.
type files struct {
	link     Link
	readMax  int // bytes per READ BINARY
	writeMax int // bytes per UPDATE BINARY
}

func newFiles(link Link) *files {
	return &files{link: link, readMax: MaxShortResponse, writeMax: MaxShortData}
}

func (f *files) run(ctx context.Context, c Command) ([]byte, error) {
	r, err := f.link.Exchange(ctx, c)
	return r.Data, err
}

func (f *files) selectMF(ctx context.Context) error {
	_, err := f.run(ctx, Command{INS: insSelect, P1: selectByFID, P2: noResponse, Data: fid(fidMF).bytes()})
	return err
}

func (f *files) selectName(ctx context.Context, name []byte) error {
	_, err := f.run(ctx, Command{INS: insSelect, P1: selectByName, P2: noResponse, Data: name})
	return err
}

// selectEF selects a file below the current DF. Cards that do not know P1=02
// look below the current DF with P1=00, too.
func (f *files) selectEF(ctx context.Context, id fid) error {
	_, err := f.run(ctx, Command{INS: insSelect, P1: selectEF, P2: noResponse, Data: id.bytes()})
	if IsStatus(err, SWWrongP1P2, SWNotSupported) {
		_, err = f.run(ctx, Command{INS: insSelect, P1: selectByFID, P2: noResponse, Data: id.bytes()})
	}
	return err
}

// remove deletes a file below the current DF, or the current DF's child.
func (f *files) remove(ctx context.Context, id fid) error {
	_, err := f.run(ctx, Command{INS: insDelete, Data: id.bytes()})
	return err
}

// read fills p from offset off of the current file. The file must hold as much.
func (f *files) read(ctx context.Context, off int, p []byte) error {
	for len(p) > 0 {
		data, err := f.readPiece(ctx, off, min(len(p), f.readMax))
		if err != nil {
			return err
		}
		n := copy(p, data)
		p, off = p[n:], off+n
	}
	return nil
}

// readPiece reads at most n bytes and at least one. A card that refuses the
// length is asked for half as much from then on.
func (f *files) readPiece(ctx context.Context, off, n int) ([]byte, error) {
	for {
		data, err := f.run(ctx, Command{INS: insRead, P1: byte(off >> 8), P2: byte(off), Ne: n})
		switch {
		case IsStatus(err, SWWrongLength) && n > 1:
			n /= 2
			f.readMax = n
			continue
		case IsStatus(err, SWEndOfFile) && len(data) > 0:
			err = nil
		}
		if err != nil {
			return nil, err
		}
		if len(data) == 0 {
			return nil, errNothingRead
		}
		if len(data) > n {
			return nil, fmt.Errorf("%w: %d bytes read where %d were wanted", ErrMalformed, len(data), n)
		}
		return data, nil
	}
}

// write updates the current file at offset off.
func (f *files) write(ctx context.Context, off int, p []byte) error {
	for len(p) > 0 {
		n := min(len(p), f.writeMax)
		_, err := f.run(ctx, Command{INS: insUpdate, P1: byte(off >> 8), P2: byte(off), Data: p[:n]})
		if IsStatus(err, SWWrongLength) && n > 1 {
			f.writeMax = n / 2
			continue
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}

// CardError says in the terms of package card what a status word means.
func CardError(err error) error {
	var status StatusError
	if err == nil || !errors.As(err, &status) {
		return err
	}
	switch status.SW {
	case SWNoSpace:
		return fmt.Errorf("%w: %w", card.ErrFull, err)
	case SWSecurity:
		return fmt.Errorf("%w: %w: %w", card.ErrReadOnly, card.ErrPINNeeded, err)
	case SWConditions, SWBlocked:
		return fmt.Errorf("%w: %w", card.ErrReadOnly, err)
	case SWUnknownINS, SWUnknownCLA, SWNotSupported, SWWrongP1P2:
		return fmt.Errorf("%w: %w", card.ErrUnsupported, err)
	case SWMemoryFailure:
		return fmt.Errorf("%w: %w", card.ErrDamaged, err)
	}
	return err
}
