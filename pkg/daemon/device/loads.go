package device

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// indexDir is where the sealed blobs lie that have come of a snapshot whose list of items
// could not be read to its end yet.
const indexDir = "index"

// loads keeps on disk what has come of a list of items, so that a link which is cut costs
// none of it. The files are as sealed as they were at the reader.
type loads struct{ dir string }

func (d *Daemon) loadsOf(snapshot vault.SnapshotID) loads {
	return loads{filepath.Join(d.cfg.StateDir, indexDir, snapshot.String())}
}

// read loads a data set by way of what is kept. That stays where the link is what ended
// it, or where more of the same data set is to be loaded later.
func (d *Daemon) read(s source, v opened, snapshot vault.SnapshotID, more bool, load func(vault.Fetch) (*vault.DataSet, error)) (*vault.DataSet, error) {
	kept := d.loadsOf(snapshot)
	if err := os.MkdirAll(kept.dir, 0o700); err != nil {
		d.log.Warn("what comes of a list of items is not kept", "error", err)
	}
	whole := parts{kept.dir, v.openAny}.fetch(s.Get, session.BlobQuery{Vault: v.id})
	ds, err := load(kept.fetch(whole))
	if more && err == nil || errors.Is(err, reprovision.ErrInterrupted) || errors.Is(err, context.Canceled) {
		return ds, err
	}
	return ds, errors.Join(err, os.RemoveAll(filepath.Dir(kept.dir)))
}

// openAny opens what a list of items is read from, an index or a pack.
func (v opened) openAny(id vault.BlobID, sealed []byte) ([]byte, error) {
	if plain, err := vault.OpenPack(v.key, v.id, id, sealed); err == nil {
		return plain, nil
	}
	return vault.OpenIndex(v.key, v.id, id, sealed)
}

// fetch gives what is kept, asks for the rest, and keeps that.
func (l loads) fetch(rest vault.Fetch) vault.Fetch {
	return func(ctx context.Context, ids []vault.BlobID, got func(vault.BlobID, []byte) error) error {
		for len(ids) > 0 {
			if sealed := l.take(ids[0]); sealed != nil {
				if err := got(ids[0], sealed); err != nil {
					return err
				}
				ids = ids[1:]
				continue
			}
			n := 1
			for n < len(ids) && !l.has(ids[n]) {
				n++
			}
			err := rest(ctx, ids[:n], func(id vault.BlobID, sealed []byte) error {
				l.keep(id, sealed)
				return got(id, sealed)
			})
			if err != nil {
				return err
			}
			ids = ids[n:]
		}
		return nil
	}
}

func (l loads) path(id vault.BlobID) string { return filepath.Join(l.dir, id.String()) }

func (l loads) has(id vault.BlobID) bool {
	_, err := os.Stat(l.path(id))
	return err == nil
}

// take returns a kept blob; nil for none that is as it was when it came.
func (l loads) take(id vault.BlobID) []byte {
	raw, err := os.ReadFile(l.path(id))
	if err != nil || len(raw) <= sha256.Size {
		return nil
	}
	if sum := sha256.Sum256(raw[sha256.Size:]); !bytes.Equal(sum[:], raw[:sha256.Size]) {
		return nil
	}
	return raw[sha256.Size:]
}

// keep keeps a blob with its sum, which tells what a power cut has left of it. That it
// cannot be kept costs bytes on the link, and no load.
func (l loads) keep(id vault.BlobID, sealed []byte) {
	sum := sha256.Sum256(sealed)
	_ = os.WriteFile(l.path(id), append(sum[:], sealed...), 0o600)
}
