package vault

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// Part is one of the two halves of a data set. They share no pack, so that the
// card needs to hold only what a device must have to be on the network again.
type Part uint8

// The two parts, in the order in which they are restored.
const (
	Critical Part = 0 // service books and keys; on the card too
	Bulk     Part = 1 // preferences and user data
)

const partCount = 2

// Parts lists both parts in the order in which they are restored.
func Parts() []Part { return []Part{Critical, Bulk} }

// String names the part.
func (p Part) String() string {
	switch p {
	case Critical:
		return "critical"
	case Bulk:
		return "bulk"
	}
	return fmt.Sprintf("part %d", uint8(p))
}

// PartOf tells which part items of the class belong to.
func PartOf(c userdata.Class) Part {
	if c.Critical() {
		return Critical
	}
	return Bulk
}

// Sum is a SHA-256 truncated to 16 bytes. It tells chunks apart.
type Sum [16]byte

func sumOf(chunk []byte) Sum {
	full := sha256.Sum256(chunk)
	return Sum(full[:16])
}

// Extent is a run of a file's bytes: Len bytes from Off on of a pack. It may be
// any range of the pack, not only one that was stored as a chunk.
type Extent struct {
	Pack BlobID
	Off  uint32
	Len  uint32
	// Sum is of the bytes of this extent; zero where the file has only this
	// one extent, whose sum then is the item's Digest.
	Sum Sum
}

// Entry is an item of a data set and where its contents lie. Files of size 0,
// directories and symlinks have no extents.
type Entry struct {
	manifest.Item
	Extents []Extent
}

// same tells whether a restore of one would be a restore of the other, from
// the same place. The time of a directory counts for nothing: it is no reason
// for a new data set.
func (e Entry) same(o Entry) bool {
	return e.Class == o.Class && e.Item.Equal(o.Item) && slices.Equal(e.Extents, o.Extents)
}

// In tells whether contents of the entry lie in one of those packs.
func (e Entry) In(packs map[BlobID]bool) bool {
	return len(packs) > 0 && slices.ContainsFunc(e.Extents, func(x Extent) bool { return packs[x.Pack] })
}

// identical is same with the time of a directory: where there is a new data
// set, it is to have that right.
func (e Entry) identical(o Entry) bool { return e.MTime == o.MTime && e.same(o) }

// extentSum is the sum of the bytes of the entry's i-th extent.
func (e Entry) extentSum(i int) Sum {
	if len(e.Extents) == 1 {
		return Sum(e.Digest[:16])
	}
	return e.Extents[i].Sum
}
