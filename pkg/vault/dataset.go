package vault

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// DataSet is one snapshot as the device sees it: its header, its entries and
// where their contents lie. It does not change once made, and may be read by
// several goroutines at once.
type DataSet struct {
	vault  VaultID
	header Header
	parts  [partCount]partList
	// items are those of all loaded parts, and extents where the contents of each lie,
	// in the same order: apart, so that whoever wants a manifest only shares it.
	items   manifest.Manifest
	extents [][]Extent
	held    map[BlobID][]byte // see Held
}

// partList is the chain of index blobs of one part.
type partList struct {
	loaded bool
	chain  []indexInfo
}

// indexInfo is what is to be remembered of an index blob.
type indexInfo struct {
	id    BlobID
	kind  indexKind
	size  int // of the sealed blob
	packs []packInfo
}

// Vault is the vault that the data set belongs to.
func (d *DataSet) Vault() VaultID { return d.vault }

// Header returns a copy of the data set's header.
func (d *DataSet) Header() Header { return d.header.clone() }

// Held are the sealed packs that had to be fetched to load the data set: those of a small
// critical part, whose index leaves the digests to them. Whoever restores needs them next.
func (d *DataSet) Held() map[BlobID][]byte { return d.held }

// Complete tells whether both parts were loaded; LoadCritical loads one only.
func (d *DataSet) Complete() bool { return d.parts[Critical].loaded && d.parts[Bulk].loaded }

// hold takes the entries in, which are sorted by name.
func (d *DataSet) hold(entries []Entry) error {
	items := make([]manifest.Item, len(entries))
	d.extents = make([][]Extent, len(entries))
	for i, e := range entries {
		items[i], d.extents[i] = e.Item, e.Extents
	}
	var err error
	d.items, err = manifest.New(items)
	return err
}

// Manifest is the list of the items of all loaded parts. It takes no memory of its own.
func (d *DataSet) Manifest() manifest.Manifest { return d.items }

// Entries returns the entries of all loaded parts, sorted by name. What they point to
// must not be changed.
func (d *DataSet) Entries() []Entry {
	entries := make([]Entry, d.items.Len())
	for i, it := range d.items.Items() {
		entries[i] = Entry{Item: it, Extents: d.extents[i]}
	}
	return entries
}

// Entry returns the entry of that name.
func (d *DataSet) Entry(name userdata.Name) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(d.items.Items(), name, func(it manifest.Item, n userdata.Name) int {
		return cmp.Compare(it.Name, n)
	})
	if !ok {
		return Entry{}, false
	}
	return Entry{Item: d.items.Items()[i], Extents: d.extents[i]}, true
}

// Packs lists the packs that hold the contents of the named entries, in the
// order of their first use. Names that the data set does not have count for
// nothing.
func (d *DataSet) Packs(names ...userdata.Name) []BlobID {
	var packs []BlobID
	seen := make(map[BlobID]bool)
	for _, n := range names {
		e, _ := d.Entry(n)
		for _, x := range e.Extents {
			if !seen[x.Pack] {
				seen[x.Pack] = true
				packs = append(packs, x.Pack)
			}
		}
	}
	return packs
}

// Blobs lists all blobs of a part, packs and indexes. What an incremental
// backup adds stands last, so that the lists of consecutive snapshots share a
// long start.
func (d *DataSet) Blobs(part Part) []BlobID {
	var ids []BlobID
	live := d.live(part)
	for _, ix := range d.parts[part].chain {
		for _, p := range ix.packs {
			if live[p.id] != nil {
				ids = append(ids, p.id)
				delete(live, p.id)
			}
		}
		ids = append(ids, ix.id)
	}
	return ids
}

// allBlobs lists the blobs of both parts.
func (d *DataSet) allBlobs() []BlobID {
	return append(d.Blobs(Critical), d.Blobs(Bulk)...)
}

// span is a range of a pack.
type span struct{ off, len uint32 }

// live maps each pack of the part that an entry refers to to what is referred to.
func (d *DataSet) live(part Part) map[BlobID]map[span]bool {
	live := make(map[BlobID]map[span]bool)
	for i, it := range d.items.Items() {
		if PartOf(it.Class) != part {
			continue
		}
		for _, x := range d.extents[i] {
			if live[x.Pack] == nil {
				live[x.Pack] = make(map[span]bool)
			}
			live[x.Pack][span{x.Off, x.Len}] = true
		}
	}
	return live
}

// partEntries are the entries of one part, sorted by name.
func (d *DataSet) partEntries(part Part) []Entry {
	var of []Entry
	for i, it := range d.items.Items() {
		if PartOf(it.Class) == part {
			of = append(of, Entry{Item: it, Extents: d.extents[i]})
		}
	}
	return of
}

// packSizes is the table of all packs that the part's indexes list.
func (d *DataSet) packSizes(part Part) map[BlobID]uint32 {
	sizes := make(map[BlobID]uint32)
	for _, ix := range d.parts[part].chain {
		for _, p := range ix.packs {
			sizes[p.id] = p.size
		}
	}
	return sizes
}

// Waste tells how much of a part's packs no entry refers to any more, as a
// share from 0 to 1, and how many packs there are. When both grow, it pays to
// pack the part anew (WriterConfig.Repack).
func (d *DataSet) Waste(part Part) (dead float64, packs int) {
	live, sizes := d.live(part), d.packSizes(part)
	var used, total uint64
	for id, spans := range live {
		var sum uint64
		for s := range spans {
			sum += uint64(s.len)
		}
		used += min(sum, uint64(sizes[id])) // spans may overlap
		total += uint64(sizes[id])
	}
	if total == 0 {
		return 0, 0
	}
	return 1 - float64(used)/float64(total), len(live)
}

// assemble makes a data set of lists that were read, and holds them against
// the header.
func assemble(vault VaultID, h Header, parts [partCount]*chain) (*DataSet, error) {
	d := &DataSet{vault: vault, header: h}
	for p, c := range parts {
		if c != nil {
			d.parts[p] = partList{loaded: true, chain: c.infos}
		}
	}
	entries, err := together(h, parts)
	if err != nil {
		return nil, err
	}
	sum, ok := totalBytes(entries)
	if !ok || d.Complete() && (len(entries) != h.Items || sum != h.Bytes) {
		return nil, fmt.Errorf("%w: %d items of %d bytes where its header says %d of %d", ErrDataSet, len(entries), sum, h.Items, h.Bytes)
	}
	return d, d.hold(entries)
}

// together are the entries of all parts that were read.
func together(h Header, parts [partCount]*chain) ([]Entry, error) {
	n := 0
	for _, c := range parts {
		if c != nil {
			n += len(c.entries)
		}
	}
	entries := make([]Entry, 0, n)
	for _, c := range parts {
		if c == nil {
			continue
		}
		for _, e := range c.entries {
			if e.Class != h.Roots[e.Name.Root()] {
				return nil, entryError(e.Name, "class %s, its root has %q", e.Class, h.Roots[e.Name.Root()])
			}
			entries = append(entries, e)
		}
	}
	sortEntries(entries)
	return entries, checkTree(entries)
}
