package vault

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// Finish completes the data set: it hands on the open packs and the indexes and
// returns what the reader is to commit and what the data set will be once it
// has. Entries of the base that were neither added nor kept are removed. When
// Commit.Empty, there is nothing to commit and the base stays what it is.
func (w *Writer) Finish(ctx context.Context) (*Commit, *DataSet, error) {
	if w.broken != nil {
		return nil, nil, fmt.Errorf("cannot finish the data set: %w: %w", ErrWriter, w.broken)
	}
	d, err := w.finish(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot finish the data set: %w", w.breaks(err))
	}
	header, err := d.header.seal(w.cfg.Key, w.cfg.Vault)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot finish the data set: %w", err)
	}
	w.broken = fmt.Errorf("it is finished")
	return w.commit(d, header), d, nil
}

func (w *Writer) finish(ctx context.Context) (*DataSet, error) {
	for _, p := range w.lanes {
		if err := p.flush(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.keepParents(); err != nil {
		return nil, err
	}
	entries := w.entries()
	if err := checkTree(entries); err != nil {
		return nil, err
	}
	sum, ok := totalBytes(entries)
	if !ok {
		return nil, fmt.Errorf("sizes overflow: %w", ErrLimit)
	}
	d := &DataSet{vault: w.cfg.Vault, header: w.header()}
	if err := d.hold(entries); err != nil {
		return nil, err
	}
	d.header.Items, d.header.Bytes = len(entries), sum
	for _, p := range Parts() {
		chain, err := w.chain(ctx, p, d)
		if err != nil {
			return nil, err
		}
		d.parts[p] = partList{loaded: true, chain: chain}
		for _, ix := range chain {
			d.header.Index[p] = append(d.header.Index[p], ix.id)
		}
		if len(chain) > MaxChain {
			return nil, fmt.Errorf("%d indexes of the %s part: %w", len(chain), p, ErrLimit)
		}
	}
	return d, nil
}

func (w *Writer) header() Header {
	h := Header{
		Snapshot: w.cfg.Snapshot, Seq: w.cfg.Seq, Created: w.cfg.Now.UTC(), Mode: w.cfg.Mode, Roots: maps.Clone(w.roots),
	}
	switch {
	case w.cfg.Above != nil:
		h.Parent = w.cfg.Above.Snapshot
	case w.cfg.Base != nil:
		h.Parent = w.cfg.Base.header.Snapshot
	case w.cfg.Head != nil:
		h.Parent = w.cfg.Head.Snapshot
	}
	return h
}

// keepParents carries over the directories above what was kept, where they
// were not added: a restore could not place the kept entries otherwise.
func (w *Writer) keepParents() error {
	if w.cfg.Base == nil {
		return nil
	}
	for i := 0; i < len(w.items); i++ { // grows as it runs
		it := w.items[i].item
		if _, ok := w.names[it.Name.Parent()]; ok || it.Name.IsRoot() {
			continue
		}
		e, ok := w.cfg.Base.Entry(it.Name.Parent())
		if !ok || e.Type != manifest.Dir {
			return entryError(it.Name, "its parent is no directory of the data set")
		}
		e.Class = it.Class
		if err := w.Keep(e); err != nil {
			return err
		}
	}
	return nil
}

// entries turns what was added and kept into the sorted list. When nothing in it
// counts as a change, it is the base's, so that the data set comes out empty.
func (w *Writer) entries() []Entry {
	entries := make([]Entry, 0, len(w.items))
	for _, p := range w.items {
		entries = append(entries, Entry{Item: p.item, Extents: w.packerOf(p.item.Class).extents(p.refs)})
	}
	sortEntries(entries)
	if b := w.cfg.Base; b != nil && w.cfg.Mode == Incremental {
		if was := b.Entries(); slices.EqualFunc(entries, was, Entry.same) {
			return was
		}
	}
	return entries
}

// chain decides how the part's entries are written down: not at all, as a
// delta, or in full.
func (w *Writer) chain(ctx context.Context, p Part, d *DataSet) ([]indexInfo, error) {
	entries := d.partEntries(p)
	if len(entries) == 0 {
		return nil, nil
	}
	old := w.oldChain(p)
	if len(old) == 0 {
		return w.putIndex(ctx, indexFull, p, nil, entries)
	}
	removed, put := difference(w.cfg.Base.partEntries(p), entries)
	if len(removed) == 0 && len(put) == 0 {
		return old, nil
	}
	w.forgetMarks(removed, put)
	if (tooLong(old) || 2*len(put) > len(entries)) && d.unproven(p) == 0 {
		return w.putIndex(ctx, indexFull, p, nil, entries)
	}
	delta, err := w.putIndex(ctx, indexDelta, p, removed, put)
	return append(slices.Clip(old), delta...), err
}

// oldChain is what the part's new indexes go on top of; nil where all of it is written anew.
func (w *Writer) oldChain(p Part) []indexInfo {
	if w.cfg.Mode != Incremental || w.cfg.Repack[p] {
		return nil
	}
	old := w.cfg.Base.parts[p].chain
	if slices.ContainsFunc(old, func(ix indexInfo) bool { return w.cfg.Lost[ix.id] }) {
		return nil
	}
	return old
}

// forgetMarks drops the marks of contents that were replaced or removed. Where another
// file has the same contents it loses its marks, too, and is sent whole when it changes.
func (w *Writer) forgetMarks(removed []userdata.Name, put []Entry) {
	if w.cfg.Marks == nil {
		return
	}
	now := make(map[manifest.Digest]bool, len(put))
	for _, e := range put {
		now[e.Digest] = true
	}
	drop := func(n userdata.Name) {
		if e, ok := w.cfg.Base.Entry(n); ok && e.Type == manifest.File && !now[e.Digest] {
			w.cfg.Marks.DropMarks(e.Digest)
		}
	}
	for _, n := range removed {
		drop(n)
	}
	for _, e := range put {
		drop(e.Name)
	}
}

// tooLong tells whether a chain is due for a new full index: it has as many
// deltas as a chain may have, or they hold more than half of what a full one does.
func tooLong(chain []indexInfo) bool {
	deltas, deltaBytes, fullBytes := 0, 0, 0
	for _, ix := range chain {
		if ix.kind == indexDelta {
			deltas++
			deltaBytes += ix.size
		} else {
			fullBytes += ix.size
		}
	}
	return deltas >= maxDeltas || deltaBytes > fullBytes/2
}

// putIndex writes an index, in as many blobs as it takes.
func (w *Writer) putIndex(ctx context.Context, kind indexKind, p Part, removed []userdata.Name, entries []Entry) ([]indexInfo, error) {
	if i := slices.IndexFunc(entries, Entry.undigested); i >= 0 {
		return nil, fmt.Errorf("cannot list %q: %w", userdata.Printable(string(entries[i].Name)), ErrUnproven)
	}
	var infos []indexInfo
	for _, s := range split(kind, p, w.cfg.Seq, removed, entries, w.packOrder(p)) {
		s.bare = canBeBare(s)
		plain, err := encodeSegment(s)
		if err != nil {
			return nil, err
		}
		info, err := w.putBlob(ctx, plainBlob{kind: KindIndex, part: p, salt: w.packersOf(p)[0].salt, level: zstd.SpeedDefault, plain: plain})
		if err != nil {
			return nil, err
		}
		info.kind, info.packs = s.kind, s.packs
		infos = append(infos, info)
	}
	return infos, nil
}

// packOrder lists all packs that the part can refer to: the base's in the
// order of its blobs, then the new ones.
func (w *Writer) packOrder(p Part) []packInfo {
	var order []packInfo
	if w.cfg.Base != nil {
		sizes := w.sizesOf(p)
		for _, id := range w.cfg.Base.Blobs(p) {
			if size, ok := sizes[id]; ok {
				order = append(order, packInfo{id: id, size: size})
			}
		}
	}
	for _, k := range w.packersOf(p) {
		order = append(order, k.packs...)
	}
	return order
}
