package vault

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// The device's own copy of a data set is framed CBOR.
const (
	localMagic  = "RPDS"
	localFormat = 1
)

type localWire struct {
	Vault  []byte                 `cbor:"1,keyasint"`
	Header []byte                 `cbor:"2,keyasint"` // not sealed
	Chains [partCount][]chainWire `cbor:"3,keyasint"`
	Lists  [partCount][][]byte    `cbor:"4,keyasint"` // index segments, zstd
}

// chainWire is what a device remembers of an index blob.
type chainWire struct {
	_     struct{} `cbor:",toarray"`
	Kind  uint8
	Size  uint32
	Packs []byte // ids
	Sizes []uint32
}

// Encode writes a complete data set for the device's own use. The result is
// not sealed: it holds names and digests, but no contents and no keys.
func (d *DataSet) Encode() ([]byte, error) {
	if !d.Complete() {
		return nil, fmt.Errorf("cannot encode a data set of which a part was not loaded: %w", ErrDataSet)
	}
	w := localWire{Vault: d.vault[:]}
	var err error
	if w.Header, err = d.header.encode(); err != nil {
		return nil, err
	}
	for _, p := range Parts() {
		w.Chains[p] = d.encodeChain(p)
		if w.Lists[p], err = d.encodeList(p); err != nil {
			return nil, err
		}
	}
	body, err := encodeCBOR(&w)
	if err != nil {
		return nil, err
	}
	b := frame(localMagic, localFormat, body)
	if len(b) > MaxLocal {
		return nil, fmt.Errorf("cannot encode a data set in %d bytes: %w", len(b), ErrLimit)
	}
	return b, nil
}

func (d *DataSet) encodeChain(p Part) []chainWire {
	chain := []chainWire{}
	for _, ix := range d.parts[p].chain {
		c := chainWire{Kind: uint8(ix.kind), Size: uint32(ix.size), Packs: []byte{}, Sizes: []uint32{}}
		for _, pack := range ix.packs {
			c.Packs = append(c.Packs, pack.id[:]...)
			c.Sizes = append(c.Sizes, pack.size)
		}
		chain = append(chain, c)
	}
	return chain
}

func (d *DataSet) encodeList(p Part) ([][]byte, error) {
	var order []packInfo
	for _, ix := range d.parts[p].chain {
		order = append(order, ix.packs...)
	}
	list := [][]byte{}
	var z compressor
	for _, s := range split(indexFull, p, d.header.Seq, nil, d.partEntries(p), order) {
		plain, err := encodeSegment(s)
		if err != nil {
			return nil, err
		}
		packed, err := z.compress(zstd.SpeedDefault, plain)
		if err != nil {
			return nil, err
		}
		list = append(list, slices.Clone(packed))
	}
	return list, nil
}

// DecodeDataSet reads what Encode wrote and checks it as strictly as what came
// from the reader. Errors wrap ErrDataSet.
func DecodeDataSet(b []byte) (*DataSet, error) {
	body, err := unframe(localMagic, localFormat, b, MaxLocal)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataSet, err)
	}
	var w localWire
	if err := decodeCBOR(body, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataSet, err)
	}
	if len(w.Vault) != idSize {
		return nil, fmt.Errorf("%w: vault: %w", ErrDataSet, ErrBadID)
	}
	h, err := decodeHeader(w.Header)
	if err != nil {
		return nil, err
	}
	var chains [partCount]*chain
	for _, p := range Parts() {
		if chains[p], err = decodeList(p, h, w.Lists[p], w.Chains[p]); err != nil {
			return nil, err
		}
	}
	return assemble(VaultID(w.Vault), h, chains)
}

// decodeList reads the entries as if they were a chain of their own, then puts
// the real chain in its place.
func decodeList(p Part, h Header, list [][]byte, wire []chainWire) (*chain, error) {
	c := newChain(p, h)
	for _, packed := range list {
		plain, err := decompress(packed, MaxIndex)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDataSet, err)
		}
		if err := c.apply(BlobID{}, plain, 0); err != nil {
			return nil, err
		}
	}
	infos, err := decodeChain(h.Index[p], wire)
	if err != nil {
		return nil, err
	}
	return c, c.adopt(infos)
}

func decodeChain(ids []BlobID, wire []chainWire) ([]indexInfo, error) {
	if len(ids) != len(wire) {
		return nil, fmt.Errorf("%w: %d indexes where its header says %d", ErrDataSet, len(wire), len(ids))
	}
	var infos []indexInfo
	for i, c := range wire {
		if k := indexKind(c.Kind); (k == indexFull) != (i == 0) || k < indexFull || k > indexDelta || c.Size > MaxBlob {
			return nil, fmt.Errorf("%w: index %s of kind %d, %d bytes", ErrDataSet, ids[i], c.Kind, c.Size)
		}
		packs, err := splitIDs(c.Packs, maxElements)
		if err != nil || len(packs) != len(c.Sizes) {
			return nil, fmt.Errorf("%w: a table of %d packs and %d sizes", ErrDataSet, len(packs), len(c.Sizes))
		}
		info := indexInfo{id: ids[i], kind: indexKind(c.Kind), size: int(c.Size)}
		for j, id := range packs {
			info.packs = append(info.packs, packInfo{id: id, size: c.Sizes[j]})
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// adopt replaces the chain's indexes by others, whose tables must list the
// packs in use with the same sizes.
func (c *chain) adopt(infos []indexInfo) error {
	sizes := make(map[BlobID]uint32)
	for _, ix := range infos {
		for _, p := range ix.packs {
			if known, ok := sizes[p.id]; p.size > MaxPack || ok && known != p.size {
				return fmt.Errorf("%w: pack %s has %d bytes and %d", ErrDataSet, p.id, known, p.size)
			}
			sizes[p.id] = p.size
		}
	}
	for id, size := range c.sizes {
		if listed, ok := sizes[id]; !ok || listed != size {
			return fmt.Errorf("%w: no index lists pack %s of %d bytes", ErrDataSet, id, size)
		}
	}
	c.infos = infos
	return nil
}
