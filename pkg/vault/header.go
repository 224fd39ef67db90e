package vault

import (
	"fmt"
	"maps"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Mode tells the two kinds of data set apart.
type Mode uint8

// The two modes of a backup (step 514 of the seed).
const (
	Full        Mode = 1 // stands alone: all contents anew
	Incremental Mode = 2 // what changed, on top of what the vault holds
)

// String is the mode as the command line and D-Bus name it.
func (m Mode) String() string {
	switch m {
	case Full:
		return "full"
	case Incremental:
		return "incremental"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

const headerFormat = 1

// Header says what a snapshot consists of. Everything else of a data set is
// found through it.
type Header struct {
	Snapshot SnapshotID
	Parent   SnapshotID // the one before; zero if none
	Seq      uint64     // the vault's generation: one more with each snapshot
	Created  time.Time  // UTC, by the device's clock
	Mode     Mode
	Items    int
	Bytes    int64 // of all files together
	// Roots tells the class of every root that has items.
	Roots map[string]userdata.Class
	// Index lists, for each part, the index blobs that lead to its entries when
	// they are applied in order.
	Index [partCount][]BlobID
}

type headerWire struct {
	Format   uint8     `cbor:"1,keyasint"`
	Snapshot []byte    `cbor:"2,keyasint"`
	Parent   []byte    `cbor:"3,keyasint,omitempty"`
	Seq      uint64    `cbor:"4,keyasint"`
	Created  int64     `cbor:"5,keyasint"`
	Mode     uint8     `cbor:"6,keyasint"`
	Items    uint32    `cbor:"7,keyasint"`
	Bytes    int64     `cbor:"8,keyasint"`
	Roots    rootsWire `cbor:"9,keyasint"`
	Critical []byte    `cbor:"10,keyasint,omitempty"` // ids
	Bulk     []byte    `cbor:"11,keyasint,omitempty"` // ids
}

func (h Header) encode() ([]byte, error) {
	w := headerWire{
		Format: headerFormat, Snapshot: h.Snapshot[:], Seq: h.Seq, Created: h.Created.UnixNano(), Mode: uint8(h.Mode),
		Items: uint32(h.Items), Bytes: h.Bytes, Roots: wireRoots(h.Roots),
		Critical: joinIDs(h.Index[Critical]), Bulk: joinIDs(h.Index[Bulk]),
	}
	if !h.Parent.IsZero() {
		w.Parent = h.Parent[:]
	}
	b, err := encodeCBOR(&w)
	if err == nil && len(b) > MaxHeader {
		err = fmt.Errorf("cannot encode a header of %d bytes: %w", len(b), ErrLimit)
	}
	return b, err
}

func decodeHeader(plain []byte) (Header, error) {
	var w headerWire
	if len(plain) > MaxHeader {
		return Header{}, fmt.Errorf("%w: a header of %d bytes: %w", ErrDataSet, len(plain), ErrLimit)
	}
	if err := decodeCBOR(plain, &w); err != nil {
		return Header{}, fmt.Errorf("%w: header: %w", ErrDataSet, err)
	}
	h := Header{Seq: w.Seq, Created: time.Unix(0, w.Created).UTC(), Mode: Mode(w.Mode), Items: int(w.Items), Bytes: w.Bytes}
	if err := h.take(w); err != nil {
		return Header{}, fmt.Errorf("%w: header: %w", ErrDataSet, err)
	}
	return h, nil
}

func (h *Header) take(w headerWire) (err error) {
	if w.Format != headerFormat || h.Mode != Full && h.Mode != Incremental {
		return fmt.Errorf("format %d, %s", w.Format, h.Mode)
	}
	if w.Items > MaxItems || w.Bytes < 0 || w.Seq == 0 {
		return fmt.Errorf("%d items of %d bytes, generation %d", w.Items, w.Bytes, w.Seq)
	}
	if len(w.Snapshot) != idSize || len(w.Parent) != idSize && len(w.Parent) != 0 {
		return fmt.Errorf("snapshot: %w", ErrBadID)
	}
	copy(h.Snapshot[:], w.Snapshot)
	copy(h.Parent[:], w.Parent)
	if len(w.Parent) > 0 && h.Parent.IsZero() {
		return fmt.Errorf("parent: %w", ErrEncoding)
	}
	if h.Roots, err = w.Roots.parse(); err != nil {
		return err
	}
	if h.Index[Critical], err = splitIDs(w.Critical, MaxChain); err != nil {
		return err
	}
	h.Index[Bulk], err = splitIDs(w.Bulk, MaxChain)
	return err
}

func (h Header) seal(key Key, vault VaultID) ([]byte, error) {
	plain, err := h.encode()
	if err != nil {
		return nil, err
	}
	return key.Seal(KindHeader, vault, BlobID(h.Snapshot), plain)
}

// OpenHeader opens and checks a snapshot's sealed header. Errors wrap
// ErrSealBroken when it was not sealed with this key for this vault and
// snapshot, else ErrDataSet.
func OpenHeader(key Key, vault VaultID, snapshot SnapshotID, sealed []byte) (Header, error) {
	plain, err := key.Open(KindHeader, vault, BlobID(snapshot), sealed)
	if err != nil {
		return Header{}, err
	}
	h, err := decodeHeader(plain)
	if err == nil && h.Seq > MaxSeq/2 {
		return Header{}, fmt.Errorf("%w: generation %d: %w", ErrDataSet, h.Seq, ErrLimit)
	}
	if err == nil && h.Snapshot != snapshot {
		err = fmt.Errorf("%w: the header of snapshot %s under the id of %s", ErrDataSet, h.Snapshot, snapshot)
	}
	return h, err
}

// clone copies what a caller could change.
func (h Header) clone() Header {
	h.Roots = maps.Clone(h.Roots)
	for p := range h.Index {
		h.Index[p] = append([]BlobID(nil), h.Index[p]...)
	}
	return h
}
