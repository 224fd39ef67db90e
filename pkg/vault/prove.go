package vault

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// SizedBlob is a blob of a data set with about as many bytes as it takes at the
// reader: those of a pack before it was compressed.
type SizedBlob struct {
	ID   BlobID
	Size int64
}

// Sizes lists all blobs of both parts, for a sample to be taken of them.
func (d *DataSet) Sizes() []SizedBlob {
	var all []SizedBlob
	for _, part := range Parts() {
		sizes := d.packSizes(part)
		for _, ix := range d.parts[part].chain {
			all = append(all, SizedBlob{ID: ix.id, Size: int64(ix.size)})
		}
		for _, id := range d.Blobs(part) {
			if size, isPack := sizes[id]; isPack {
				all = append(all, SizedBlob{ID: id, Size: int64(size)})
			}
		}
	}
	return all
}

// Proof compares blobs that the reader gave with what a data set says of them.
type Proof struct {
	key    Key
	ds     *DataSet
	within map[BlobID][]Entry // by pack
}

// NewProof prepares the comparison.
func NewProof(key Key, ds *DataSet) *Proof {
	p := &Proof{key: key, ds: ds, within: make(map[BlobID][]Entry)}
	for _, e := range ds.Entries() {
		for _, x := range e.Extents {
			list := p.within[x.Pack]
			if n := len(list); n == 0 || list[n-1].Name != e.Name {
				p.within[x.Pack] = append(list, e)
			}
		}
	}
	return p
}

// Blob opens one sealed blob and compares all that an item of the data set has in
// it with its digest. It returns those items. Errors wrap ErrSealBroken,
// ErrCompressed, ErrDataSet or ErrDigest.
func (p *Proof) Blob(id BlobID, sealed []byte) ([]userdata.Name, error) {
	entries, isPack := p.within[id]
	if !isPack {
		return nil, p.index(id, sealed)
	}
	plain, err := OpenPack(p.key, p.ds.vault, id, sealed)
	if err != nil {
		return nil, err
	}
	var names []userdata.Name
	for _, e := range entries {
		if err := e.match(id, plain); err != nil {
			return names, err
		}
		names = append(names, e.Name)
	}
	return names, nil
}

// match compares what an entry has in a pack.
func (e Entry) match(pack BlobID, plain []byte) error {
	for i, x := range e.Extents {
		if x.Pack != pack {
			continue
		}
		if uint64(x.Off)+uint64(x.Len) > uint64(len(plain)) || sumOf(plain[x.Off:x.Off+x.Len]) != e.extentSum(i) {
			return fmt.Errorf("%w: extent %d of %q in pack %s", ErrDigest, i, userdata.Printable(string(e.Name)), pack)
		}
	}
	return nil
}

func (p *Proof) index(id BlobID, sealed []byte) error {
	plain, err := OpenIndex(p.key, p.ds.vault, id, sealed)
	if err != nil {
		return err
	}
	_, err = decodeSegment(plain)
	return err
}
