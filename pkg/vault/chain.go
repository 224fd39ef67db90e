package vault

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// chain applies the index blobs of one part one after the other.
type chain struct {
	part    Part
	header  Header
	infos   []indexInfo
	entries map[userdata.Name]Entry
	sizes   map[BlobID]uint32
	proofs  []packProof // of the packs of indexes without digests
	seq     uint64
}

func newChain(part Part, h Header) *chain {
	return &chain{part: part, header: h, entries: make(map[userdata.Name]Entry), sizes: make(map[BlobID]uint32)}
}

// apply reads the next index of the chain, whose sealed size was given.
func (c *chain) apply(id BlobID, plain []byte, sealed int) error {
	s, err := decodeSegment(plain)
	if err != nil {
		return err
	}
	if err := c.follows(s); err != nil {
		return fmt.Errorf("%w: index %s: %w", ErrDataSet, id, err)
	}
	for _, p := range s.packs {
		if known, ok := c.sizes[p.id]; ok && known != p.size {
			return fmt.Errorf("%w: pack %s has %d bytes and %d", ErrDataSet, p.id, known, p.size)
		}
		c.sizes[p.id] = p.size
	}
	if err := c.change(s); err != nil {
		return err
	}
	c.proofs = append(c.proofs, s.proofs...)
	c.infos = append(c.infos, indexInfo{id: id, kind: s.kind, size: sealed, packs: s.packs})
	c.seq = s.seq
	return nil
}

// follows checks that the index may stand at this place of the chain.
func (c *chain) follows(s segment) error {
	switch {
	case s.part != c.part:
		return fmt.Errorf("it is of the %s part", s.part)
	case (s.kind == indexFull) != (len(c.infos) == 0):
		return fmt.Errorf("a chain starts with a full index, and has no other")
	case s.kind == indexMore && (s.seq != c.seq || c.infos[len(c.infos)-1].kind == indexDelta):
		return fmt.Errorf("it continues another full index")
	case s.seq < c.seq || s.seq > c.header.Seq:
		return fmt.Errorf("its generation %d does not follow %d", s.seq, c.seq)
	}
	return nil
}

func (c *chain) change(s segment) error {
	for _, n := range s.removed {
		if _, ok := c.entries[n]; !ok {
			return entryError(n, "removed, but not there")
		}
		delete(c.entries, n)
	}
	for _, e := range s.entries {
		if _, ok := c.entries[e.Name]; ok && s.kind != indexDelta {
			return entryError(e.Name, "twice in a full index")
		}
		c.entries[e.Name] = e
	}
	if len(c.entries) > MaxItems {
		return fmt.Errorf("%w: %d items: %w", ErrDataSet, len(c.entries), ErrLimit)
	}
	return nil
}
