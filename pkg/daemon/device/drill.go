package device

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// maxFailed is how many blobs a result names.
const maxFailed = 64

// Verify is a restore drill.
func (d *Daemon) Verify(ctx context.Context, bytes int64) (busapi.VerifyResult, error) {
	if bytes == 0 {
		bytes = d.cfg.Detect.VerifyBytes
	}
	run := &drill{Daemon: d, seen: make(map[userdata.Name]bool)}
	if err := run.prepare(ctx); err != nil {
		return busapi.VerifyResult{}, translate(err)
	}
	if err := run.fetch(ctx, run.sample(bytes)); err != nil {
		return busapi.VerifyResult{}, translate(err)
	}
	if err := d.state.store(keyVerified, run.result); err != nil {
		return run.result, err
	}
	d.event("verify", map[string]any{
		"snapshot": run.result.Snapshot, "blobs": run.result.Blobs, "items": run.result.Items, "failed": int64(len(run.result.Failed)),
	})
	d.bus.Refresh()
	return run.result, nil
}

type drill struct {
	*Daemon
	session *session.Session
	vault   opened
	ds      *vault.DataSet
	proof   *vault.Proof
	seen    map[userdata.Name]bool
	result  busapi.VerifyResult
}

func (r *drill) prepare(ctx context.Context) error {
	var err error
	if r.session, err = r.keeper.wait(ctx); err != nil {
		return err
	}
	v, have, err := r.own()
	if err != nil {
		return err
	}
	if !have {
		return busapi.ErrNoData
	}
	r.vault = v
	if r.ds, err = r.head(ctx, r.session, v); err != nil {
		return err
	}
	if r.ds == nil {
		return busapi.ErrNoData
	}
	r.proof = vault.NewProof(v.key, r.ds)
	r.result = busapi.VerifyResult{Time: r.now().Unix(), Snapshot: r.ds.Header().Snapshot.String(), Failed: []string{}}
	return nil
}

// sample picks blobs at random until the bytes are used up; one at least.
func (r *drill) sample(bytes int64) []vault.BlobID {
	all := r.ds.Sizes()
	r.result.Of = int64(len(all))
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var picked []vault.BlobID
	for _, b := range all {
		if bytes -= b.Size; bytes < 0 && len(picked) > 0 {
			break
		}
		picked = append(picked, b.ID)
	}
	return picked
}

// fetch gets one blob at a time: one that is damaged does not keep the next from being
// looked at.
func (r *drill) fetch(ctx context.Context, blobs []vault.BlobID) error {
	get := fetchFrom(r.session, r.vault.id, vault.SnapshotID{})
	for _, id := range blobs {
		var names []userdata.Name
		err := get(ctx, []vault.BlobID{id}, func(id vault.BlobID, sealed []byte) (err error) {
			r.result.Bytes += int64(len(sealed))
			names, err = r.proof.Blob(id, sealed)
			return err
		})
		if err != nil && !isFailedProof(err) {
			return err
		}
		if err != nil {
			r.fail(id, err)
			continue
		}
		r.result.Blobs++
		for _, n := range names {
			r.seen[n] = true
		}
		r.result.Items = int64(len(r.seen))
	}
	return nil
}

func (r *drill) fail(id vault.BlobID, err error) {
	r.log.Error("what lies at the reader is not what was saved", "blob", id, "error", err)
	r.familiar.forget() // the reader knows now what is damaged
	if len(r.result.Failed) < maxFailed {
		r.result.Failed = append(r.result.Failed, fmt.Sprintf("%s: %v", id, err))
	}
}

// isFailedProof tells an error about a blob from one about the way to it.
func isFailedProof(err error) bool {
	for _, is := range []error{
		session.ErrDamaged, session.ErrNoData, vault.ErrSealBroken, vault.ErrCompressed, vault.ErrDataSet, vault.ErrDigest,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}
