package cardtest

import (
	"context"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// Faulty is a card.SlotMedium whose card is pulled at a chosen write. Before that
// it passes everything on and counts.
type Faulty struct {
	card.Medium     // a card.SlotMedium
	CutAt       int // the write, from 1, at which the card is pulled; 0 never
	Torn        int // bytes that this write still gets onto the card

	Writes  int // so far
	Written int // bytes
	pulled  bool
}

// ReadAt passes the read on, or gives card.ErrRemoved once the card is pulled.
func (f *Faulty) ReadAt(ctx context.Context, slot, off int, p []byte) error {
	if f.pulled {
		return fmt.Errorf("cannot read: %w", card.ErrRemoved)
	}
	slots, err := f.slots()
	if err != nil {
		return err
	}
	return slots.ReadAt(ctx, slot, off, p)
}

// WriteAt passes the write on, in part if it is the one that is cut.
func (f *Faulty) WriteAt(ctx context.Context, slot, off int, p []byte) error {
	if f.pulled {
		return fmt.Errorf("cannot write: %w", card.ErrRemoved)
	}
	slots, err := f.slots()
	if err != nil {
		return err
	}
	f.Writes++
	if f.Writes != f.CutAt {
		f.Written += len(p)
		return slots.WriteAt(ctx, slot, off, p)
	}
	f.pulled = true
	if n := min(f.Torn, len(p)); n > 0 {
		if err := slots.WriteAt(ctx, slot, off, p[:n]); err != nil {
			return err
		}
	}
	return fmt.Errorf("cannot write: %w", card.ErrRemoved)
}

func (f *Faulty) slots() (card.SlotMedium, error) {
	slots, ok := f.Medium.(card.SlotMedium)
	if !ok {
		return nil, fmt.Errorf("%w: no slots to cut", card.ErrUnsupported)
	}
	return slots, nil
}

var _ card.SlotMedium = (*Faulty)(nil)
