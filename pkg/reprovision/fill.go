package reprovision

import (
	"context"
	"errors"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Fill fetches of ids, in order, what the cache does not have. It returns when
// all are there, are known to be bad, or fetching makes no sense any more;
// waiting callers of Pack then learn why.
func (c *PackCache) Fill(ctx context.Context, ids []vault.BlobID, fetch vault.Fetch) error {
	err := c.fetchAll(ctx, c.missing(ids), fetch)
	if err == nil {
		c.finish(ErrPackMissing)
		return nil
	}
	c.finish(err)
	return err
}

// maxBarren is how many calls of fetch in a row may fail without giving a
// single blob before the trouble is the reader's, not that of some blobs.
const maxBarren = 256

// fetchAll fetches past what the reader has, and cannot give: the blob that was
// due when it said so is bad, and costs only the items that need it.
func (c *PackCache) fetchAll(ctx context.Context, want []vault.BlobID, fetch vault.Fetch) error {
	for barren := 0; len(want) > 0; {
		delivered, ours, err := c.fetch(ctx, want, fetch)
		if err == nil || ours || ctx.Err() != nil || errors.Is(err, ErrInterrupted) {
			return err
		}
		if delivered > 0 {
			barren = 0
		}
		want = want[delivered:]
		if barren++; barren > maxBarren || len(want) == 0 {
			return err
		}
		c.spoil(want[0], err)
		want = want[1:]
	}
	return nil
}

// fetch is one call of fetch. ours tells whether its error is this side's: a
// pack came, and cannot be kept.
func (c *PackCache) fetch(ctx context.Context, want []vault.BlobID, fetch vault.Fetch) (delivered int, ours bool, err error) {
	err = fetch(ctx, want, func(id vault.BlobID, sealed []byte) error {
		if err := c.put(ctx, id, sealed); err != nil {
			ours = true
			return err
		}
		delivered++
		return nil
	})
	return min(delivered, len(want)), ours, err
}

// missing lists those of ids that the cache does not have.
func (c *PackCache) missing(ids []vault.BlobID) []vault.BlobID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var want []vault.BlobID
	for _, id := range ids {
		if !c.have[id] {
			want = append(want, id)
		}
	}
	return want
}

// spoil notes why no item gets this pack.
func (c *PackCache) spoil(id vault.BlobID, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bad[id] = why
	c.wake()
}
