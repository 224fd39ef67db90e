package device

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// partFile is where, beside the packs of a job, the beginning of the blob lies on which the
// link was cut: its id, and the bytes that came.
const partFile = "part"

// parts lets the fetching of blobs go on in the middle of one, so that a link that is cut
// often does not carry the same bytes again and again.
type parts struct {
	dir  string
	open func(id vault.BlobID, sealed []byte) ([]byte, error)
}

// errPatched says that the two halves of a blob do not fit together.
var errPatched = errors.New("the rest of the blob does not fit its beginning")

// fetch is fetchFrom's, but that the first blob is gone on with, and the last kept.
func (p parts) fetch(get func(context.Context, session.BlobQuery, func(session.Blob) error) error, q session.BlobQuery) vault.Fetch {
	return func(ctx context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		q.IDs = plain(ids)
		q.Have = p.take(ids)
		err := get(ctx, q, func(b session.Blob) error {
			if len(q.Have) > 0 && b.ID == ids[0] {
				if _, err := p.open(b.ID, b.Data); err != nil {
					return errPatched
				}
			}
			return got(b.ID, b.Data)
		})
		if errors.Is(err, errPatched) {
			q.Have = nil
			err = get(ctx, q, func(b session.Blob) error { return got(b.ID, b.Data) })
		}
		if cut, ok := errors.AsType[*session.CutShort](err); ok {
			err = errors.Join(cut.Err, p.keep(cut.Blob))
		}
		return interrupted(err)
	}
}

// take returns what is kept of the first of the blobs.
func (p parts) take(ids []vault.BlobID) []byte {
	raw, err := os.ReadFile(filepath.Join(p.dir, partFile))
	if err != nil || len(ids) == 0 || len(raw) < len(ids[0]) || vault.BlobID(raw[:len(ids[0])]) != ids[0] {
		return nil
	}
	return raw[len(ids[0]):]
}

// keep keeps the beginning of a blob. It need not outlast a power cut.
func (p parts) keep(b session.Blob) error {
	err := os.WriteFile(filepath.Join(p.dir, partFile), append(b.ID[:], b.Data...), 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the job is done with, and its packs
	}
	return err
}
