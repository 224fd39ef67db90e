package iso7816

import (
	"context"
	"errors"

	"github.com/reprovision/reprovision/pkg/card"
)

// sizeStep is how finely Format looks for the largest segments, in bytes.
const sizeStep = 256

// createSlots makes the segments of both slots, of size bytes a slot or as many
// as possible, and returns the size of a slot. The segments of each slot are
// made in ascending order, so that those of a format cut short have no gap.
func (m *Medium) createSlots(ctx context.Context, size int) (int, error) {
	got := 0
	for segment := 0; segment < MaxSegments && (size == 0 || got < size); segment++ {
		n, err := m.createSegment(ctx, segment, max(size-got, 0))
		if err != nil {
			return 0, err
		}
		got += n
		if n < MaxSegmentSize {
			break
		}
	}
	if got < card.MinSlotSize {
		return 0, card.ErrFull
	}
	return got, nil
}

// createSegment makes one segment of both slots, for left bytes or as many of
// them as a segment takes, and returns its size. If left is 0, it is as large as
// possible, and 0 if there is no room.
func (m *Medium) createSegment(ctx context.Context, segment, left int) (int, error) {
	if left == 0 {
		return m.largestSegment(ctx, segment)
	}
	n := min(left, MaxSegmentSize)
	return n, m.trySegment(ctx, segment, n)
}

// largestSegment makes one segment of both slots as large as the card accepts
// and returns its size, 0 if there is no room for it in both.
func (m *Medium) largestSegment(ctx context.Context, segment int) (int, error) {
	// The largest size that fits lies at or above low and below high.
	low, high, created := 0, MaxSegmentSize+sizeStep, 0
	for try := MaxSegmentSize; try > card.HeaderSize && high-low > sizeStep; try = (low + high) / 2 {
		err := m.trySegment(ctx, segment, try)
		switch {
		case err == nil:
			low, created = try, try
		case noRoom(err, segment):
			high, created = try, 0
		default:
			return 0, err
		}
	}
	if low == 0 {
		return 0, m.removeSegment(ctx, segment)
	}
	if created != low {
		return low, m.trySegment(ctx, segment, low)
	}
	return low, nil
}

// noRoom tells whether a segment was refused for its size. Once a first segment
// is there, any refusal ends the slot: a card may have reached its number of
// files, and what is there already is of use.
func noRoom(err error, segment int) bool {
	err = CardError(err)
	if errors.Is(err, card.ErrFull) {
		return true
	}
	var status StatusError
	return segment > 0 && errors.As(err, &status) && !errors.Is(err, card.ErrDamaged)
}

// trySegment makes one segment of both slots with the given size and none of
// another.
func (m *Medium) trySegment(ctx context.Context, segment, size int) error {
	if err := m.removeSegment(ctx, segment); err != nil {
		return err
	}
	for slot := range card.Slots {
		if err := m.create(ctx, segmentFID(slot, segment), size); err != nil {
			return err
		}
	}
	return nil
}

// removeSegment deletes one segment of both slots, as far as it is there.
func (m *Medium) removeSegment(ctx context.Context, segment int) error {
	for slot := range card.Slots {
		if err := m.remove(ctx, segmentFID(slot, segment)); err != nil {
			return err
		}
	}
	return nil
}

// removeSlot deletes all segments of a slot, whatever the label said of them:
// a format cut short leaves no label. It begins with the last, so that cut short
// itself it leaves no gap, and the next format finds the rest.
func (m *Medium) removeSlot(ctx context.Context, slot int) error {
	segments, err := m.countSegments(ctx, slot)
	for err == nil && segments > 0 {
		segments--
		err = m.remove(ctx, segmentFID(slot, segments))
	}
	return err
}

// countSegments tells how many segments of a slot are there. It leaves our DF
// selected: a card may forget it with a SELECT that fails, and files of others
// may have the identifiers of ours.
func (m *Medium) countSegments(ctx context.Context, slot int) (int, error) {
	m.current = 0
	err := m.files.selectName(ctx, dfName())
	n := 0
	for err == nil && n < MaxSegments {
		if err = m.files.selectEF(ctx, segmentFID(slot, n)); err == nil {
			n++
		}
	}
	var status StatusError
	if err != nil && !errors.As(err, &status) {
		return 0, err
	}
	return n, m.files.selectName(ctx, dfName())
}
