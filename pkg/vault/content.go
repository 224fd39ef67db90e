package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// ErrDigest says that contents are not those that the data set recorded.
var ErrDigest = errors.New("contents do not match their digest")

// PackSource gives the contents of packs: opened, decompressed, whole. The
// caller must not change them.
type PackSource interface {
	Pack(ctx context.Context, id BlobID) ([]byte, error)
}

// OpenPack opens and decompresses a sealed pack. Errors wrap ErrSealBroken or
// ErrCompressed.
func OpenPack(key Key, vault VaultID, id BlobID, sealed []byte) ([]byte, error) {
	packed, err := key.Open(KindPack, vault, id, sealed)
	if err != nil {
		return nil, err
	}
	plain, err := decompress(packed, MaxPack)
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", id, err)
	}
	return plain, nil
}

// Content writes a file's contents to w, extent by extent, each after its sum
// was verified. It is known to be whole only when nil is returned: write to a
// temporary file. A mismatch wraps ErrDigest, errors of packs and w are passed on.
func (e Entry) Content(ctx context.Context, packs PackSource, w io.Writer) error {
	if e.Type != manifest.File {
		return fmt.Errorf("cannot read the contents of a %s", e.Type)
	}
	total := sha256.New()
	var size int64
	r := extentReader{packs: packs}
	for i := range e.Extents {
		b, err := r.read(ctx, e, i)
		if err != nil {
			return fmt.Errorf("cannot read %q: %w", userdata.Printable(string(e.Name)), err)
		}
		total.Write(b)
		size += int64(len(b))
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("cannot write the contents of %q: %w", userdata.Printable(string(e.Name)), err)
		}
	}
	if size != e.Size || manifest.Digest(total.Sum(nil)) != e.Digest {
		return fmt.Errorf("cannot read %q: %w", userdata.Printable(string(e.Name)), ErrDigest)
	}
	return nil
}

// extentReader holds on to one pack, for runs of extents in it.
type extentReader struct {
	packs PackSource
	id    BlobID
	plain []byte
}

func (r *extentReader) read(ctx context.Context, e Entry, i int) ([]byte, error) {
	x := e.Extents[i]
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.plain == nil || r.id != x.Pack {
		plain, err := r.packs.Pack(ctx, x.Pack)
		if err != nil {
			return nil, err
		}
		r.id, r.plain = x.Pack, plain
	}
	if uint64(x.Off)+uint64(x.Len) > uint64(len(r.plain)) {
		return nil, fmt.Errorf("%w: pack %s has only %d bytes", ErrDigest, x.Pack, len(r.plain))
	}
	b := r.plain[x.Off : x.Off+x.Len]
	if sumOf(b) != e.extentSum(i) {
		return nil, fmt.Errorf("%w: extent %d in pack %s", ErrDigest, i, x.Pack)
	}
	return b, nil
}

// PackReader is a PackSource that fetches sealed packs, opens them and keeps
// the last few, for entries that share packs. It is for one goroutine.
type PackReader struct {
	key   Key
	vault VaultID
	fetch func(ctx context.Context, id BlobID) ([]byte, error)
	kept  []keptPack // the latest first
}

type keptPack struct {
	id    BlobID
	plain []byte
}

const packsKept = 3

// NewPackReader reads the packs of a vault; fetch gets one sealed blob.
func NewPackReader(key Key, vault VaultID, fetch func(ctx context.Context, id BlobID) ([]byte, error)) *PackReader {
	return &PackReader{key: key, vault: vault, fetch: fetch}
}

// Pack implements PackSource. Errors are those of fetch and of OpenPack.
func (r *PackReader) Pack(ctx context.Context, id BlobID) ([]byte, error) {
	for i, k := range r.kept {
		if k.id == id {
			copy(r.kept[1:i+1], r.kept[:i])
			r.kept[0] = k
			return k.plain, nil
		}
	}
	sealed, err := r.fetch(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch pack %s: %w", id, err)
	}
	plain, err := OpenPack(r.key, r.vault, id, sealed)
	if err != nil {
		return nil, err
	}
	if len(r.kept) == packsKept {
		r.kept = r.kept[:packsKept-1]
	}
	r.kept = append([]keptPack{{id: id, plain: plain}}, r.kept...)
	return plain, nil
}
