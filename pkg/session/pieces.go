package session

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// bulkStream is where the pieces of blobs go.
type bulkStream struct {
	ctx  context.Context // of the call; as in gRPC's own streams
	pace *pacer
	send func(*sessionpb.BlobPiece) error
}

// blob cuts a blob into pieces of at most MaxPiece bytes, as fast as the link takes them.
// An empty blob is one empty piece. vault is nil but for the first blob of a Put.
func (s bulkStream) blob(vault []byte, b Blob) error {
	if b.From < 0 || b.From > 0 && b.From >= len(b.Data) {
		return fmt.Errorf("%w: blob %s of %d bytes from %d on", ErrBadRequest, hexID(b.ID), len(b.Data), b.From)
	}
	return s.rest(vault, b, b.From)
}

// rest is blob without what comes before an offset.
func (s bulkStream) rest(vault []byte, b Blob, offset int) error {
	if len(b.Data) > MaxBlob {
		return fmt.Errorf("%w: blob %s has %d bytes", ErrTooLarge, hexID(b.ID), len(b.Data))
	}
	for begun := false; ; begun = true {
		end := min(offset+s.pace.piece(), len(b.Data))
		piece := &sessionpb.BlobPiece{
			Offset: uint64(offset),
			Data:   b.Data[offset:end],
			Last:   end == len(b.Data),
		}
		if !begun {
			piece.Vault, piece.Id = vault, b.ID[:]
			piece.Part, piece.Total = uint32(b.Part), uint64(len(b.Data))
		}
		err := s.pace.through(s.ctx, end-offset, func() error { return s.send(piece) })
		if err != nil || piece.GetLast() {
			return err
		}
		offset = end
	}
}

// assembler puts the pieces of one blob after the other together again.
type assembler struct {
	blob  Blob
	total uint64
	begun bool
	id    ID     // of the blob of which have is the beginning
	have  []byte // nil for nothing
}

// add takes the next piece, and returns true with the blob that it completes.
// The blob's data is the caller's.
func (a *assembler) add(p *sessionpb.BlobPiece) (Blob, bool, error) {
	if !a.begun {
		if err := a.begin(p); err != nil {
			return Blob{}, false, err
		}
	} else if len(p.GetId()) != 0 || len(p.GetVault()) != 0 || p.GetPart() != 0 || p.GetTotal() != 0 {
		return Blob{}, false, fmt.Errorf("%w: a blob begins within another", ErrBadRequest)
	}
	if err := a.check(p); err != nil {
		return Blob{}, false, err
	}
	a.blob.Data = append(a.blob.Data, p.GetData()...)
	if !p.GetLast() {
		return Blob{}, false, nil
	}
	blob := a.blob
	*a = assembler{}
	return blob, true, nil
}

func (a *assembler) begin(p *sessionpb.BlobPiece) error {
	id, err := readID(p.GetId())
	if err != nil {
		return err
	}
	if p.GetTotal() > MaxBlob {
		return fmt.Errorf("%w: blob of %d bytes", ErrTooLarge, p.GetTotal())
	}
	if p.GetPart() > 0xff {
		return fmt.Errorf("%w: part %d", ErrBadRequest, p.GetPart())
	}
	// The buffer grows with what really arrives, whatever was announced.
	first := min(p.GetTotal(), 4*MaxPiece)
	a.blob = Blob{ID: id, Part: uint8(p.GetPart()), Data: make([]byte, 0, first)}
	if p.GetOffset() > 0 && id == a.id && p.GetTotal() >= uint64(len(a.have)) {
		a.blob.Data = append(a.blob.Data, a.have...)
	}
	a.have = nil
	a.total, a.begun = p.GetTotal(), true
	return nil
}

func (a *assembler) check(p *sessionpb.BlobPiece) error {
	have, more := uint64(len(a.blob.Data)), uint64(len(p.GetData()))
	switch {
	case more > MaxPiece:
		return fmt.Errorf("%w: piece of %d bytes", ErrTooLarge, more)
	case p.GetOffset() != have:
		return fmt.Errorf("%w: piece at %d, want %d", ErrBadRequest, p.GetOffset(), have)
	case have+more > a.total, p.GetLast() != (have+more == a.total):
		return fmt.Errorf("%w: pieces do not add up to %d bytes", ErrBadRequest, a.total)
	case more == 0 && a.total != 0:
		return fmt.Errorf("%w: empty piece", ErrBadRequest)
	}
	return nil
}
