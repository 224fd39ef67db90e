package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// A bare index has no digests, for they do not compress, and are a tenth of what a small
// critical part takes on the link. Who loads it fetches the packs as well, which a restore
// needs anyhow, and makes the digests of what is in them. That they are those of before
// is proven by one sum for each pack, over all digests of what the index has in it.

// maxBare is the most bytes of all packs of a bare index before compression.
const maxBare = 1 << 20

// packProof is what a bare index says of one pack.
type packProof struct {
	pack  BlobID
	spans []span // of the files in it, in the order of the index
	sum   [sha256.Size]byte
}

// canBeBare tells whether an index is written without digests: a full one of a small
// critical part, each of whose files is one extent.
func canBeBare(s segment) bool {
	if s.part != Critical || s.kind == indexDelta || len(s.packs) == 0 {
		return false
	}
	total := 0
	for _, p := range s.packs {
		total += int(p.size)
	}
	for _, e := range s.entries {
		if len(e.Extents) > 1 || len(e.Extents) == 1 && e.Digest == (manifest.Digest{}) {
			return false
		}
	}
	return total <= maxBare
}

// inPacks sorts the files of a segment by the packs of its table.
func inPacks(s segment) []packProof {
	number := make(map[BlobID]int, len(s.packs))
	proofs := make([]packProof, len(s.packs))
	for i, p := range s.packs {
		number[p.id], proofs[i].pack = i, p.id
	}
	for _, e := range s.entries {
		for _, x := range e.Extents {
			p := &proofs[number[x.Pack]]
			p.spans = append(p.spans, span{x.Off, x.Len})
		}
	}
	return proofs
}

// proofsOf makes the sums of a segment whose entries have digests.
func proofsOf(s segment) []byte {
	of := make(map[BlobID][]byte, len(s.packs))
	for _, e := range s.entries {
		for _, x := range e.Extents {
			of[x.Pack] = append(of[x.Pack], e.Digest[:]...)
		}
	}
	var out []byte
	for _, p := range s.packs {
		sum := sha256.Sum256(of[p.id])
		out = append(out, sum[:]...)
	}
	return out
}

// parseProofs reads the sums of a segment's packs.
func parseProofs(b []byte, s segment) ([]packProof, error) {
	if len(b) != len(s.packs)*sha256.Size {
		return nil, fmt.Errorf("%w: %d bytes of sums for %d packs", ErrDataSet, len(b), len(s.packs))
	}
	total := 0
	for _, p := range s.packs {
		total += int(p.size)
	}
	if total > maxBare || s.part != Critical || s.kind == indexDelta {
		return nil, fmt.Errorf("%w: an index of %d bytes without digests", ErrDataSet, total)
	}
	proofs := inPacks(s)
	for i := range proofs {
		proofs[i].sum = [sha256.Size]byte(b[i*sha256.Size:])
	}
	return proofs, nil
}

// without digests: those of an entry that a bare index listed are not known yet.
func (e Entry) undigested() bool {
	return e.Type == manifest.File && e.Size > 0 && e.Digest == manifest.Digest{}
}

// Unproven is of how many items nobody knows what their contents are to be: they lay in a
// pack that could not be read when the data set was loaded. Loading it again may help.
func (d *DataSet) Unproven() int { return d.unproven(Critical) + d.unproven(Bulk) }

func (d *DataSet) unproven(p Part) (n int) {
	for _, it := range d.items.Items() {
		if (Entry{Item: it}).undigested() && PartOf(it.Class) == p {
			n++
		}
	}
	return n
}

// prove fetches the packs of what has no digest yet, and returns them, sealed. A pack that is
// damaged or missing at the reader costs the items in it, which nobody can have back
// then, and no others: their digest stays zero, which no contents have.
func (l *loader) prove(ctx context.Context, fetch Fetch) (map[BlobID][]byte, error) {
	held := make(map[BlobID][]byte)
	for _, c := range l.chains {
		if c == nil || len(c.proofs) == 0 {
			continue
		}
		wanted := c.unproven()
		if err := l.take(ctx, fetch, wanted, held); err != nil {
			return nil, err
		}
		digests := make(map[Extent]manifest.Digest)
		for _, p := range c.proofs {
			if sealed, here := held[p.pack]; here && !p.open(l.key, l.vault, sealed, digests) {
				delete(held, p.pack)
			}
		}
		c.digest(digests)
	}
	return held, nil
}

// take fetches the packs at once, or one by one where one of them is the reason that it
// cannot be done.
func (l *loader) take(ctx context.Context, fetch Fetch, wanted []BlobID, held map[BlobID][]byte) error {
	got := func(id BlobID, sealed []byte) error {
		held[id] = append([]byte(nil), sealed...)
		return nil
	}
	err := fetch(ctx, wanted, got)
	if err == nil || !ofOneBlob(err) {
		return err
	}
	for _, id := range wanted {
		if _, here := held[id]; here {
			continue
		}
		if err := fetch(ctx, []BlobID{id}, got); err != nil && !ofOneBlob(err) {
			return err
		}
	}
	return nil
}

// ofOneBlob tells whether an error of a Fetch says nothing of the other blobs.
func ofOneBlob(err error) bool { return errors.Is(err, ErrNoBlob) || errors.Is(err, ErrDamaged) }

// unproven lists the packs of the entries that have no digest.
func (c *chain) unproven() []BlobID {
	listed := make(map[BlobID]bool)
	for _, e := range c.entries {
		if e.undigested() {
			listed[e.Extents[0].Pack] = true
		}
	}
	var wanted []BlobID
	for _, p := range c.proofs {
		if listed[p.pack] {
			wanted = append(wanted, p.pack)
			delete(listed, p.pack)
		}
	}
	return wanted
}

// open makes the digests of what lies in a pack. False says that it is not the pack that
// the index was written for.
func (p packProof) open(key Key, vault VaultID, sealed []byte, digests map[Extent]manifest.Digest) bool {
	plain, err := OpenPack(key, vault, p.pack, sealed)
	if err != nil {
		return false
	}
	all := sha256.New()
	made := make([]manifest.Digest, len(p.spans))
	for i, s := range p.spans {
		if uint64(s.off)+uint64(s.len) > uint64(len(plain)) {
			return false
		}
		made[i] = sha256.Sum256(plain[s.off : s.off+s.len])
		all.Write(made[i][:])
	}
	if [sha256.Size]byte(all.Sum(nil)) != p.sum {
		return false
	}
	for i, s := range p.spans {
		digests[Extent{Pack: p.pack, Off: s.off, Len: s.len}] = made[i]
	}
	return true
}

// digest fills in what was made.
func (c *chain) digest(digests map[Extent]manifest.Digest) {
	for name, e := range c.entries {
		if e.undigested() {
			e.Digest = digests[e.Extents[0]]
			c.entries[userdata.Name(name)] = e
		}
	}
}

// FromHeld gives what the data set holds already, and asks fetch for the rest.
func (d *DataSet) FromHeld(fetch Fetch) Fetch {
	if len(d.held) == 0 {
		return fetch
	}
	return func(ctx context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
		for len(ids) > 0 {
			n := 0
			for n < len(ids) && d.held[ids[n]] == nil {
				n++
			}
			if n > 0 {
				if err := fetch(ctx, ids[:n], got); err != nil {
					return err
				}
				ids = ids[n:]
				continue
			}
			if err := got(ids[0], d.held[ids[0]]); err != nil {
				return err
			}
			ids = ids[1:]
		}
		return nil
	}
}
