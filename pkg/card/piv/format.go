package piv

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// probeStep is how finely Format looks for the largest object, in bytes.
const probeStep = 16

// Format implements card.Medium. It voids the headers of an earlier format first
// and writes a new one last. Objects that are neither empty nor ours are left
// alone, as are those that the card does not let us write: the others are ours
// from then on. Each is written once at its full size, to see that there is room.
func (m *Medium) Format(ctx context.Context, size int) error {
	if size < 0 || size > card.MaxSlotSize || size != 0 && size <= card.HeaderSize {
		return fmt.Errorf("cannot format card: slots of %d bytes: allowed are %d to %d", size, card.HeaderSize+1, card.MaxSlotSize)
	}
	if err := m.format(ctx, size); err != nil {
		return fmt.Errorf("cannot format card: %w", m.explain(ctx, err))
	}
	return nil
}

func (m *Medium) format(ctx context.Context, size int) error {
	if err := m.authorize(ctx); err != nil {
		return err
	}
	list, err := m.claim(ctx)
	if err != nil {
		return err
	}
	if len(list) < minObjects {
		return fmt.Errorf("%w: %d data objects can be used, %d needed", card.ErrFull, len(list), minObjects)
	}
	for _, place := range list[:card.Slots] {
		if err := m.client.write(ctx, place, magicData, make([]byte, maxHeaderBytes)); err != nil {
			return fmt.Errorf("cannot make room for a header: %w", err)
		}
	}
	made := shape{slotSize: size}
	if made.payload, err = m.reserve(ctx, list[card.Slots:], size); err != nil {
		return err
	}
	if size == 0 {
		made.slotSize = min(fits(len(list), made.payload)+card.HeaderSize, card.MaxSlotSize)
	}
	for _, o := range list {
		made.objects |= 1 << o
	}
	if _, err := rand.Read(made.id[:]); err != nil {
		return fmt.Errorf("cannot make a card ID: %w", err)
	}
	return m.begin(ctx, made)
}

// begin writes the first header, of a store without a version.
func (m *Medium) begin(ctx context.Context, made shape) error {
	first := &header{shape: made, sequence: 1}
	place := made.list()[0]
	if err := m.client.write(ctx, place, magicHeader, first.encode()); err != nil {
		return fmt.Errorf("cannot write header: %w", err)
	}
	found, err := m.peek(ctx, place)
	if err != nil {
		return err
	}
	h := asHeader(found, place)
	if h == nil || h.shape != made {
		return fmt.Errorf("header does not read back: %w", card.ErrDamaged)
	}
	m.stolen = 0
	return m.adopt(ctx, h, map[object]content{place: found})
}

// claim empties the objects that are ours or nobody's, headers first, and lists
// those that can be written.
func (m *Medium) claim(ctx context.Context) ([]object, error) {
	kinds := map[object]kind{}
	for o := range object(maxObjects) {
		found, err := m.peek(ctx, o)
		if err != nil {
			return nil, err
		}
		kinds[o] = found.kind
	}
	m.ready = false
	var list []object
	for _, headers := range []bool{true, false} {
		for o := range object(maxObjects) {
			if kinds[o] == foreign || (kinds[o] == head) != headers {
				continue
			}
			written, err := m.try(ctx, o, 0)
			if err != nil {
				return nil, err
			}
			if !written && headers {
				return nil, fmt.Errorf("%w: object %06X cannot be emptied", card.ErrReadOnly, o.tag())
			}
			if written {
				list = append(list, o)
			}
		}
	}
	return sorted(list), nil
}

func sorted(list []object) []object {
	var s shape
	for _, o := range list {
		s.objects |= 1 << o
	}
	return s.list()
}

// try writes an object of a size and tells whether the card took it.
func (m *Medium) try(ctx context.Context, o object, payload int) (bool, error) {
	err := m.client.write(ctx, o, magicData, make([]byte, payload))
	if err == nil {
		return true, nil
	}
	if !refused(err) || iso7816.IsStatus(err, iso7816.SWSecurity, iso7816.SWMemoryFailure) {
		return false, err
	}
	return false, nil
}

// fill writes objects of a size and tells how many the card took.
func (m *Medium) fill(ctx context.Context, list []object, payload int) (int, error) {
	for i, o := range list {
		if ok, err := m.try(ctx, o, payload); err != nil || !ok {
			return i, err
		}
	}
	return len(list), nil
}

// reserve makes the data objects as large as slots of a size need, or as the
// card allows, and gives that size.
func (m *Medium) reserve(ctx context.Context, list []object, size int) (int, error) {
	limit := min(m.config.MaxObject, 0xFFFF) - inObject
	if size == 0 {
		return m.largest(ctx, list, limit)
	}
	halves, capacity := len(list)/2, size-card.HeaderSize
	payload := objectsFor(capacity, halves)
	if payload > limit {
		return 0, &card.FullError{Need: capacity, Have: halves * limit}
	}
	done, err := m.fill(ctx, list, payload)
	if err == nil && done < len(list) {
		err = &card.FullError{Need: capacity, Have: done / 2 * payload}
	}
	return payload, err
}

// largest finds the largest size that all data objects can have at once.
func (m *Medium) largest(ctx context.Context, list []object, limit int) (int, error) {
	top, err := m.probe(ctx, list[0], limit)
	if err != nil || top == 0 {
		return 0, orFull(err)
	}
	done, err := m.fill(ctx, list, top)
	if err != nil || done == len(list) {
		return top, err
	}
	rest, err := m.probe(ctx, list[done], top)
	if err != nil {
		return 0, err
	}
	// One object in reserve: some cards need room for the new beside the old.
	for payload := (done*top + rest) / (len(list) + 1); payload > 0; payload -= payload/16 + 1 {
		if ok, err := m.refill(ctx, list, payload); err != nil || ok {
			return payload, err
		}
	}
	return 0, orFull(nil)
}

// refill empties objects, gives them a size, and tells whether the card took all
// and took one again when there was no other room left.
func (m *Medium) refill(ctx context.Context, list []object, payload int) (bool, error) {
	if done, err := m.fill(ctx, list, 0); err != nil || done < len(list) {
		return false, err
	}
	done, err := m.fill(ctx, append(list[:len(list):len(list)], list[0]), payload)
	return done > len(list), err
}

func orFull(err error) error {
	if err == nil {
		err = fmt.Errorf("%w: no room for any data", card.ErrFull)
	}
	return err
}

// probe finds the largest size that the card takes for an object, up to limit.
func (m *Medium) probe(ctx context.Context, o object, limit int) (int, error) {
	low, high := 0, limit+1 // low is taken, high is not
	for try := limit; high-low > probeStep || try == limit; try = (low + high) / 2 {
		ok, err := m.try(ctx, o, try)
		if err != nil {
			return 0, err
		}
		if !ok {
			high = try
			continue
		}
		low = try
		if low == limit {
			break
		}
	}
	return low, nil
}
