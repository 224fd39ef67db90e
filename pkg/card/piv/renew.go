package piv

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Renew implements card.VersionMedium.
func (m *Medium) Renew(ctx context.Context, generation uint64, body []byte) error {
	if err := m.commit(ctx, generation, body, true); err != nil {
		return fmt.Errorf("cannot renew card: %w", err)
	}
	return nil
}

// traces tells whether a version that is void may be left on the card beside base, nil for
// none.
func (m *Medium) traces(base *version) bool {
	for _, s := range m.slots {
		if s.header != nil && s.header.traces && (base == nil || s.header.sequence >= base.sequence) {
			return true
		}
	}
	return false
}

// Overwrite implements card.VersionMedium. Objects are overwritten as a whole, each at its
// full size. Those that the newest version lies in have nothing else: Renew shares none.
func (m *Medium) Overwrite(ctx context.Context, from card.Overwriting, limit int) (card.Overwriting, error) {
	o, err := m.overwrite(ctx, from, limit)
	if err != nil {
		return o, fmt.Errorf("cannot overwrite what is void on the card: %w", m.explain(ctx, err))
	}
	return o, nil
}

func (m *Medium) overwrite(ctx context.Context, o card.Overwriting, limit int) (card.Overwriting, error) {
	if !m.ready {
		return o, card.ErrUnformatted
	}
	base, o, err := m.keep(ctx, o)
	if err != nil {
		return o, err
	}
	if err := m.authorize(ctx); err != nil {
		return o, err
	}
	voids := m.voids(base)
	o.Total = len(voids) * m.shape.payload
	for written := 0; o.Done < o.Total && written < max(limit, 1); written += m.shape.payload {
		if err := m.randomize(ctx, voids[o.Done/m.shape.payload]); err != nil {
			return o, err
		}
		o.Done += m.shape.payload
	}
	if o.Done < o.Total {
		return o, nil
	}
	return m.endOverwriting(ctx, base, o)
}

// keep finds the header of the version that is to stay. Where the overwriting has begun, that
// version was found whole, and is not read again.
func (m *Medium) keep(ctx context.Context, o card.Overwriting) (*version, card.Overwriting, error) {
	for i, s := range m.slots {
		if s.header != nil && o.Mark != "" && o.Mark == m.mark(i) {
			return &version{header: s.header, slot: i}, o, nil
		}
	}
	base, err := m.newest(ctx)
	if err != nil {
		return nil, o, err
	}
	if base == nil {
		return nil, o, m.nothing()
	}
	return base, card.Overwriting{Mark: m.mark(base.slot)}, nil
}

// mark is what tells a pair of headers, and which of them is to stay, from another.
func (m *Medium) mark(slot int) string {
	mark := []byte{byte(slot)}
	for _, s := range m.slots {
		if s.header != nil {
			mark = append(mark, s.header.encode()...)
		}
		mark = append(mark, '|')
	}
	return string(mark)
}

// voids lists the data objects that a version does not lie in.
func (m *Medium) voids(base *version) []object {
	var list []object
	for _, o := range m.shape.data() {
		if base.needed(o) == 0 {
			list = append(list, o)
		}
	}
	return list
}

// randomize writes random bytes to an object, if it is still ours. Where other programs have
// taken the room since, as many as it has.
func (m *Medium) randomize(ctx context.Context, o object) error {
	found, err := m.peek(ctx, o)
	if err != nil || found.kind == foreign {
		return err
	}
	noise := make([]byte, m.shape.payload)
	rand.Read(noise) // never fails
	err = m.client.write(ctx, o, magicData, noise)
	if iso7816.IsStatus(err, iso7816.SWNoSpace) {
		err = m.client.write(ctx, o, magicData, noise[:min(max(found.size, 0), len(noise))])
	}
	if err != nil {
		return fmt.Errorf("cannot write object %06X: %w", o.tag(), err)
	}
	return nil
}

// endOverwriting has both headers stand for the version. A number that was given to one that
// is damaged is not given again.
func (m *Medium) endOverwriting(ctx context.Context, base *version, o card.Overwriting) (card.Overwriting, error) {
	h := *base.header
	if highest := m.generation(); highest > h.generation {
		if highest == math.MaxUint64 {
			return o, fmt.Errorf("%w: there is none above %d", card.ErrGeneration, highest)
		}
		h.generation = highest + 1
	}
	h.traces, h.sequence = false, m.sequence()+1
	if err := m.writeHeader(ctx, 1-base.slot, &h); err != nil {
		return o, err
	}
	o.Finished, o.Generation = true, h.generation
	return o, nil
}
