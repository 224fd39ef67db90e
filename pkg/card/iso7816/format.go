package iso7816

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// dfFIDs are tried for our DF until one is not in use: 5250 to 525F.
const (
	firstDF fid = 0x5250
	lastDF  fid = 0x525F
)

// Format implements card.Medium. It voids the label of an earlier format first
// and writes the new one last. The segments of an earlier format are deleted;
// where the card refuses to delete, they are used again as large as they are.
func (m *Medium) Format(ctx context.Context, size int) error {
	if size < 0 || size > MaxSlotSize || size != 0 && size < card.MinSlotSize {
		return fmt.Errorf("cannot format card: slots of %d bytes: allowed are %d to %d", size, card.MinSlotSize, MaxSlotSize)
	}
	if err := m.format(ctx, size); err != nil {
		return fmt.Errorf("cannot format card: %w", CardError(err))
	}
	return nil
}

func (m *Medium) format(ctx context.Context, size int) error {
	if err := m.clear(ctx); err != nil {
		return err
	}
	if err := m.createDF(ctx); err != nil {
		return err
	}
	if err := m.create(ctx, fidLabel, card.LabelSize); err != nil {
		return err
	}
	got, err := m.createSlots(ctx, size)
	if err != nil {
		return err
	}
	for slot := range card.Slots {
		if err := m.put(ctx, segmentFID(slot, 0), make([]byte, card.HeaderSize)); err != nil {
			return err
		}
	}
	return m.writeLabel(ctx, got)
}

// clear voids the label and deletes our EFs, as far as they exist.
func (m *Medium) clear(ctx context.Context) error {
	if !m.ours {
		return nil
	}
	m.ready = false
	err := m.put(ctx, fidLabel, make([]byte, card.LabelSize))
	if err != nil && !IsStatus(err, SWNotFound) {
		return err
	}
	for slot := range card.Slots {
		if err := m.removeSlot(ctx, slot); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an EF of ours; one that is not there or cannot be deleted stays.
func (m *Medium) remove(ctx context.Context, id fid) error {
	m.current = 0
	err := m.files.selectEF(ctx, id)
	if err == nil {
		err = m.files.remove(ctx, id)
	}
	var status StatusError
	if err != nil && !errors.As(err, &status) {
		return err
	}
	return m.files.selectName(ctx, dfName())
}

// createDF makes our DF below the master file unless it is there, and selects it.
func (m *Medium) createDF(ctx context.Context) error {
	m.current = 0
	for id := firstDF; !m.ours; id++ {
		if err := m.files.selectMF(ctx); err != nil {
			return err
		}
		err := m.files.createDF(ctx, id, dfName())
		if IsStatus(err, SWFileExists) && id < lastDF {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot create directory: %w", err)
		}
		m.ours = true
	}
	return m.files.selectName(ctx, dfName())
}

// create makes an EF in our DF, or takes the one that is there if it is large
// enough, else card.ErrFull.
func (m *Medium) create(ctx context.Context, id fid, size int) error {
	m.current = 0
	if err := m.files.selectName(ctx, dfName()); err != nil {
		return err
	}
	err := m.files.selectEF(ctx, id)
	if IsStatus(err, SWNotFound) {
		return m.files.createEF(ctx, id, size)
	}
	if err != nil {
		return err
	}
	if ok, err := m.files.holds(ctx, size); err != nil || ok {
		return err
	}
	return fmt.Errorf("%w: file %04X is there with fewer than %d bytes and cannot be deleted", card.ErrFull, uint16(id), size)
}

func (m *Medium) writeLabel(ctx context.Context, size int) error {
	made, err := card.NewLabel(size)
	if err != nil {
		return err
	}
	want := spread(made)
	if err := m.put(ctx, fidLabel, want.encode()); err != nil {
		return err
	}
	if err := m.open(ctx); err != nil {
		return err
	}
	if !m.ready || m.label != want {
		return fmt.Errorf("label does not read back: %w", card.ErrDamaged)
	}
	return nil
}

// put writes the front of an EF of ours.
func (m *Medium) put(ctx context.Context, id fid, p []byte) error {
	if err := m.choose(ctx, id); err != nil {
		return err
	}
	return m.files.write(ctx, 0, p)
}
