package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// ErrWriter says that a Writer was used in a way that it cannot be.
var ErrWriter = errors.New("writer misused")

// ErrUnproven says that an entry cannot be kept in the data set: nobody knows what its
// contents are to be, so that it could never be restored from there.
var ErrUnproven = errors.New("the saved contents could not be read")

// Blob is a sealed blob on its way to the reader.
type Blob struct {
	ID     BlobID
	Part   Part
	Sealed []byte
}

// Head is what a new data set is put on top of when the device cannot load it.
type Head struct {
	Snapshot SnapshotID
	Blobs    []BlobID // all blobs of that snapshot
}

// WriterConfig says what a Writer writes and where to.
type WriterConfig struct {
	Key   Key
	Vault VaultID
	// Base is the data set to build on, complete; nil for none. An incremental
	// data set needs one.
	Base *DataSet
	// Head is for a full data set without Base in a vault that has a snapshot:
	// the one that the new data set follows. Nil means that of Base, or none.
	Head *Head
	// Above is the newest snapshot at the reader where the device can load it not even
	// in part: it takes no blob of that for granted. The data set still builds on Base.
	Above *Head
	Mode  Mode
	// Snapshot is the new data set's id. See NewSnapshotID on repeating it.
	Snapshot SnapshotID
	// Seq is the vault's new generation, from 1.
	Seq uint64
	Now time.Time
	// Repack makes an incremental data set pack everything added to a part
	// anew and write a full index of it, to be rid of waste.
	Repack [partCount]bool
	// Lost are blobs of the base that the reader has no more, or damaged. Contents
	// in such a pack are packed anew when they are added, and a list of indexes with such
	// a one is written anew. The same contents give the same blob again where nothing
	// else was in it, so that older data sets are mended with it.
	Lost map[BlobID]bool
	// Salts are the ids of the full data sets that may have written what is lost.
	Salts []SnapshotID
	// Marks, where it is not nil, keeps what finds the unchanged parts of changed files.
	Marks MarkStore
	// Put takes the blobs as they fill. It may keep the bytes.
	Put func(ctx context.Context, b Blob) error
}

// Writer makes a data set of the items that it is given (step 516 of the seed):
// it packs, compresses and seals their contents as it reads them. It needs a
// few MiB whatever the size of the tree. It is for one goroutine.
type Writer struct {
	cfg    WriterConfig
	lanes  [laneCount]*packer
	cut    chunker
	zip    compressor
	small  []byte // a small file as it is read
	sums   *strongSums
	mark   marker
	diff   differ
	items  []pending
	names  map[userdata.Name]int // index into items
	roots  map[string]userdata.Class
	sizes  [partCount]map[BlobID]uint32 // of the base's packs, on first need
	handed map[BlobID]indexInfo         // what was handed on
	broken error                        // what made further use impossible
}

// pending is an entry whose packs may still be open.
type pending struct {
	item manifest.Item
	refs []ref
}

// NewWriter starts a data set. It writes nothing yet.
func NewWriter(cfg WriterConfig) (*Writer, error) {
	if err := checkWriter(cfg); err != nil {
		return nil, fmt.Errorf("cannot write a data set: %w", err)
	}
	w := &Writer{
		cfg: cfg, names: make(map[userdata.Name]int), roots: make(map[string]userdata.Class), handed: make(map[BlobID]indexInfo),
	}
	w.cut.key = append([]byte(nil), cfg.Key.chunk[:]...)
	w.sums = newStrongSums(cfg.Key)
	w.mark.sums = w.sums
	for l := range laneCount {
		pk := &packer{lane: l, part: l.part(), out: w.putBlob, lost: cfg.Lost}
		if cfg.Mode == Full {
			pk.salt = cfg.Snapshot
		} else if !cfg.Repack[pk.part] {
			pk.base = cfg.Base
		}
		w.lanes[l] = pk
	}
	return w, nil
}

func checkWriter(cfg WriterConfig) error {
	if err := cfg.Key.check(); err != nil {
		return err
	}
	switch {
	case cfg.Put == nil || cfg.Vault.IsZero() || cfg.Snapshot.IsZero() || cfg.Seq == 0:
		return fmt.Errorf("%w: Put, vault, snapshot or generation is missing", ErrWriter)
	case cfg.Mode != Full && cfg.Mode != Incremental:
		return fmt.Errorf("%w: %s", ErrWriter, cfg.Mode)
	case cfg.Base == nil && cfg.Mode == Incremental:
		return fmt.Errorf("%w: an incremental data set needs a base", ErrWriter)
	case cfg.Base != nil && cfg.Head != nil:
		return fmt.Errorf("%w: both a base and a head", ErrWriter)
	case cfg.Above != nil && cfg.Head != nil:
		return fmt.Errorf("%w: two heads", ErrWriter)
	case cfg.Base != nil && (!cfg.Base.Complete() || cfg.Base.vault != cfg.Vault):
		return fmt.Errorf("%w: the base is of another vault, or in part only", ErrWriter)
	case cfg.Base != nil && cfg.Seq <= cfg.Base.header.Seq:
		return fmt.Errorf("%w: generation %d does not follow the base's", ErrWriter, cfg.Seq)
	}
	return nil
}

// Add puts an item into the data set. For a file it reads the contents through
// open and returns the item with the size and digest of what was read; open is
// not called for directories and symlinks. When the contents cannot be read the
// error says so and the writer stays usable: the item is simply not added. When
// Put fails the writer is of no further use. A file over MaxExtents gives
// ErrTooLarge.
func (w *Writer) Add(ctx context.Context, item manifest.Item, open func() (io.ReadCloser, error)) (manifest.Item, error) {
	if item.Type != manifest.File {
		item.Size, item.Digest = 0, manifest.Digest{}
	}
	if err := w.admit(item); err != nil {
		return manifest.Item{}, err
	}
	var refs []ref
	if item.Type == manifest.File {
		c, err := w.read(ctx, item, open)
		if err != nil {
			return manifest.Item{}, fmt.Errorf("cannot back up %q: %w", userdata.Printable(string(item.Name)), err)
		}
		item.Size, item.Digest, refs = c.size, c.digest, c.refs
	}
	w.take(item, refs)
	return item, nil
}

// admit checks what can be checked before the contents are read.
func (w *Writer) admit(item manifest.Item) error {
	if w.broken != nil {
		return fmt.Errorf("%w: %w", ErrWriter, w.broken)
	}
	if err := checkItem(item); err != nil {
		return err
	}
	if _, ok := w.names[item.Name]; ok {
		return entryError(item.Name, "added twice")
	}
	if len(w.items) == MaxItems {
		return fmt.Errorf("cannot add an item after %d: %w", MaxItems, ErrLimit)
	}
	class, ok := w.roots[item.Name.Root()]
	if ok && class != item.Class {
		return entryError(item.Name, "class %s in a root of class %s", item.Class, class)
	}
	if !ok && len(w.roots) == maxMapPairs {
		return fmt.Errorf("cannot add a root after %d: %w", maxMapPairs, ErrLimit)
	}
	return nil
}

func (w *Writer) take(item manifest.Item, refs []ref) {
	w.roots[item.Name.Root()] = item.Class
	w.names[item.Name] = len(w.items)
	w.items = append(w.items, pending{item: item, refs: refs})
}

// Keep carries an entry of the base over with its contents, which are not
// read: they are unchanged, or damaged on the device so that the last good ones
// stand. Metadata may differ from the base's. The directories above it are kept
// with it where they are not added. A kept entry of a full data set goes on
// referring to the base's packs. One whose contents are not proven is kept only where the
// index that has it stays, as it is; else it is refused with ErrUnproven.
func (w *Writer) Keep(e Entry) error {
	if err := w.admit(e.Item); err != nil {
		return err
	}
	if w.cfg.Base == nil {
		return fmt.Errorf("%w: there is no base to keep an entry of", ErrWriter)
	}
	if e.undigested() && !w.stays(e) {
		return fmt.Errorf("cannot keep %q: %w", userdata.Printable(string(e.Name)), ErrUnproven)
	}
	if err := checkContents(e, w.sizesOf(PartOf(e.Class))); err != nil {
		return err
	}
	w.take(e.Item, refsTo(e))
	return nil
}

// stays tells whether no index is written that says anything of the entry.
func (w *Writer) stays(e Entry) bool {
	old := w.oldChain(PartOf(e.Class))
	was, ok := w.cfg.Base.Entry(e.Name)
	return ok && was.identical(e) && len(old) > 0 && len(old) < MaxChain/2
}

func (w *Writer) sizesOf(p Part) map[BlobID]uint32 {
	if w.sizes[p] == nil {
		w.sizes[p] = w.cfg.Base.packSizes(p)
	}
	return w.sizes[p]
}

// putBlob compresses, seals and hands on one blob, once: service books and keys that are the
// same to the byte make the same. It returns its id and sealed size.
func (w *Writer) putBlob(ctx context.Context, b plainBlob) (indexInfo, error) {
	id := w.blobID(b)
	if info, known := w.handed[id]; known {
		return info, nil
	}
	packed, err := w.zip.compressParts(b.level, b.plain, b.cuts)
	if err != nil {
		return indexInfo{}, w.breaks(err)
	}
	sealed, err := w.cfg.Key.Seal(b.kind, w.cfg.Vault, id, packed)
	if err != nil {
		return indexInfo{}, w.breaks(err)
	}
	if err := w.cfg.Put(ctx, Blob{ID: id, Part: b.part, Sealed: sealed}); err != nil {
		return indexInfo{}, w.breaks(fmt.Errorf("cannot hand on %s %s: %w", b.kind, id, err))
	}
	w.handed[id] = indexInfo{id: id, size: len(sealed)}
	return w.handed[id], nil
}

// blobID is the id of a new blob: that of a lost one, where it is the same again.
func (w *Writer) blobID(b plainBlob) BlobID {
	if len(w.cfg.Lost) > 0 {
		for _, salt := range append([]SnapshotID{{}}, w.cfg.Salts...) {
			if id := w.cfg.Key.BlobID(b.kind, b.part, salt, b.plain); w.cfg.Lost[id] {
				return id
			}
		}
	}
	return w.cfg.Key.BlobID(b.kind, b.part, b.salt, b.plain)
}

func (w *Writer) breaks(err error) error {
	w.broken = err
	return err
}
