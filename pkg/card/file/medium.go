package file

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
)

// ProfileName is what Layout calls this profile.
const ProfileName = "file"

// medium is the image for one transaction. Without an image it gives
// card.ErrNoCard to all but Format.
type medium struct {
	path     string
	capacity int
	image    *image // nil if there is none
}

// Identity is the profile and the label's random ID.
func (m *medium) Identity() string {
	switch {
	case m.image == nil:
		return ""
	case !m.image.ready:
		return ProfileName + ":"
	}
	return ProfileName + ":" + m.image.label.String()
}

// Layout implements card.Medium.
func (m *medium) Layout(ctx context.Context) (card.Layout, error) {
	if m.image == nil {
		return card.Layout{}, card.ErrNoCard
	}
	if m.image.damage != nil {
		return card.Layout{}, m.image.damage
	}
	layout := card.Layout{Profile: ProfileName, Formatted: m.image.ready, Free: m.capacity - preambleSize}
	if m.image.ready {
		layout.SlotSize = m.image.label.SlotSize
	}
	return layout, ctx.Err()
}

// ReadAt implements card.SlotMedium.
func (m *medium) ReadAt(ctx context.Context, slot, off int, p []byte) error {
	if err := m.check(ctx, slot, off, len(p)); err != nil {
		return fmt.Errorf("cannot read card image: %w", err)
	}
	_, err := m.image.file.ReadAt(p, slotOffset(m.image.label.SlotSize, slot, off))
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", card.ErrDamaged, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return fmt.Errorf("cannot read card image: %w", err)
	}
	return nil
}

// WriteAt implements card.SlotMedium.
func (m *medium) WriteAt(ctx context.Context, slot, off int, p []byte) error {
	err := m.check(ctx, slot, off, len(p))
	if err == nil && m.image.readOnly {
		err = card.ErrReadOnly
	}
	if err == nil {
		_, err = m.image.file.WriteAt(p, slotOffset(m.image.label.SlotSize, slot, off))
	}
	if err == nil {
		err = m.image.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("cannot write card image: %w", cardError(err))
	}
	return nil
}

// check tells whether the range lies in a slot and the card is still in.
func (m *medium) check(ctx context.Context, slot, off, n int) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.image == nil:
		return card.ErrNoCard
	case !m.image.ready:
		return card.ErrUnformatted
	case slot < 0 || slot >= card.Slots || off < 0 || n > m.image.label.SlotSize-off:
		return fmt.Errorf("slot %d holds no %d bytes at offset %d", slot, n, off)
	}
	return m.image.stillThere()
}

// cardError says in the terms of package card what a system error means.
func cardError(err error) error {
	switch {
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", card.ErrReadOnly, err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EFBIG):
		return fmt.Errorf("%w: %w", card.ErrFull, err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: %w", card.ErrRemoved, err)
	}
	return err
}
