package vault

import (
	"context"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Fetch asks for sealed blobs and calls got for each of them, in the order of
// ids. It stops at the first error, its own or got's, and returns it. The bytes
// need to stay as they are only until got returns.
type Fetch func(ctx context.Context, ids []BlobID, got func(id BlobID, sealed []byte) error) error

// LoadDataSet reads a snapshot: its header, then the index blobs that the
// header names, in one call of fetch. The reader may lie about every byte: what
// does not open wraps ErrSealBroken, what opens but does not fit wraps
// ErrDataSet, and the errors of fetch are passed on. That the reader may offer
// an old snapshot as the newest is for the caller to see, by Header.Seq.
func LoadDataSet(ctx context.Context, key Key, vault VaultID, snapshot SnapshotID, header []byte, fetch Fetch) (*DataSet, error) {
	return load(ctx, key, vault, snapshot, header, fetch, Parts())
}

// LoadCritical is LoadDataSet for the critical part alone, as a card holds it
// (step 618 of the seed needs no more). The data set is not Complete.
func LoadCritical(ctx context.Context, key Key, vault VaultID, snapshot SnapshotID, header []byte, fetch Fetch) (*DataSet, error) {
	return load(ctx, key, vault, snapshot, header, fetch, []Part{Critical})
}

// LoadBooks is LoadCritical where the card had no room for the keys: the data set
// has the service books alone.
func LoadBooks(ctx context.Context, key Key, vault VaultID, snapshot SnapshotID, header []byte, fetch Fetch) (*DataSet, error) {
	d, err := LoadCritical(ctx, key, vault, snapshot, header, fetch)
	if err != nil {
		return nil, err
	}
	return d, d.hold(slices.DeleteFunc(d.Entries(), func(e Entry) bool { return e.Class != userdata.ServiceBooks }))
}

func load(ctx context.Context, key Key, vault VaultID, snapshot SnapshotID, header []byte, fetch Fetch, parts []Part) (*DataSet, error) {
	h, err := OpenHeader(key, vault, snapshot, header)
	if err != nil {
		return nil, fmt.Errorf("cannot load snapshot %s: %w", snapshot, err)
	}
	l := loader{key: key, vault: vault}
	for _, p := range parts {
		l.chains[p] = newChain(p, h)
		for _, id := range h.Index[p] {
			l.wanted = append(l.wanted, id)
			l.of = append(l.of, l.chains[p])
		}
	}
	if err := l.fetch(ctx, fetch); err != nil {
		return nil, fmt.Errorf("cannot load snapshot %s: %w", snapshot, err)
	}
	held, err := l.prove(ctx, fetch)
	if err != nil {
		return nil, fmt.Errorf("cannot load snapshot %s: %w", snapshot, err)
	}
	d, err := assemble(vault, h, l.chains)
	if d != nil {
		d.held = held
	}
	if err != nil {
		return nil, fmt.Errorf("cannot load snapshot %s: %w", snapshot, err)
	}
	return d, nil
}

// loader takes index blobs as they arrive.
type loader struct {
	key    Key
	vault  VaultID
	chains [partCount]*chain
	wanted []BlobID
	of     []*chain // which chain each wanted blob belongs to
	next   int
}

func (l *loader) fetch(ctx context.Context, fetch Fetch) error {
	if len(l.wanted) == 0 {
		return nil
	}
	if err := fetch(ctx, l.wanted, l.got); err != nil {
		return err
	}
	if l.next < len(l.wanted) {
		return fmt.Errorf("%w: index %s is missing", ErrDataSet, l.wanted[l.next])
	}
	return nil
}

func (l *loader) got(id BlobID, sealed []byte) error {
	if l.next >= len(l.wanted) || l.wanted[l.next] != id {
		return fmt.Errorf("%w: blob %s was not asked for here", ErrDataSet, id)
	}
	plain, err := OpenIndex(l.key, l.vault, id, sealed)
	if err != nil {
		return err
	}
	if err := l.of[l.next].apply(id, plain, len(sealed)); err != nil {
		return err
	}
	l.next++
	return nil
}

// OpenIndex opens and decompresses a sealed index. Errors wrap ErrSealBroken, or
// ErrCompressed and ErrDataSet.
func OpenIndex(key Key, vault VaultID, id BlobID, sealed []byte) ([]byte, error) {
	packed, err := key.Open(KindIndex, vault, id, sealed)
	if err != nil {
		return nil, err
	}
	plain, err := decompress(packed, MaxIndex)
	if err != nil {
		return nil, fmt.Errorf("%w: index %s: %w", ErrDataSet, id, err)
	}
	return plain, nil
}
