package cardtest

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// Faulty is a Medium whose card is pulled at a chosen write. Before that it
// passes everything on and counts.
type Faulty struct {
	card.Medium
	CutAt int // the write, from 1, at which the card is pulled; 0 never
	Torn  int // bytes that this write still gets onto the card

	Writes  int // so far
	Written int // bytes
	pulled  bool
}

// ReadAt passes the read on, or gives card.ErrRemoved once the card is pulled.
func (f *Faulty) ReadAt(ctx context.Context, slot, off int, p []byte) error {
	if f.pulled {
		return fmt.Errorf("cannot read: %w", card.ErrRemoved)
	}
	return f.Medium.ReadAt(ctx, slot, off, p)
}

// WriteAt passes the write on, in part if it is the one that is cut.
func (f *Faulty) WriteAt(ctx context.Context, slot, off int, p []byte) error {
	if f.pulled {
		return fmt.Errorf("cannot write: %w", card.ErrRemoved)
	}
	f.Writes++
	if f.Writes != f.CutAt {
		f.Written += len(p)
		return f.Medium.WriteAt(ctx, slot, off, p)
	}
	f.pulled = true
	if n := min(f.Torn, len(p)); n > 0 {
		if err := f.Medium.WriteAt(ctx, slot, off, p[:n]); err != nil {
			return err
		}
	}
	return fmt.Errorf("cannot write: %w", card.ErrRemoved)
}
