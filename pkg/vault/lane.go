package vault

import (
	"slices"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// lane is what shares packs. The critical part has two: service books come before
// keys, and go on a card alone where both do not fit.
type lane int

const (
	booksLane lane = iota
	keysLane
	bulkLane
	laneCount
)

func laneOf(c userdata.Class) lane {
	switch {
	case c == userdata.ServiceBooks:
		return booksLane
	case PartOf(c) == Critical:
		return keysLane
	}
	return bulkLane
}

// Together tells whether contents of two classes may lie in one pack.
func Together(a, b userdata.Class) bool { return laneOf(a) == laneOf(b) }

func (l lane) part() Part {
	if l == bulkLane {
		return Bulk
	}
	return Critical
}

// packerOf is where contents of a class go.
func (w *Writer) packerOf(c userdata.Class) *packer { return w.lanes[laneOf(c)] }

// packersOf lists those of a part.
func (w *Writer) packersOf(p Part) []*packer {
	return slices.DeleteFunc(slices.Clone(w.lanes[:]), func(k *packer) bool { return k.part != p })
}

// Books lists the blobs that the service books need, in the order of Blobs; nil where
// these are all of the critical part, or there are no service books.
func (d *DataSet) Books() []BlobID {
	needed := make(map[BlobID]bool)
	for _, ix := range d.parts[Critical].chain {
		needed[ix.id] = true
	}
	some := false
	for _, e := range d.partEntries(Critical) {
		if e.Class != userdata.ServiceBooks {
			continue
		}
		some = true
		for _, x := range e.Extents {
			needed[x.Pack] = true
		}
	}
	all := d.Blobs(Critical)
	books := slices.DeleteFunc(slices.Clone(all), func(id BlobID) bool { return !needed[id] })
	if !some || len(books) == len(all) {
		return nil
	}
	return books
}
