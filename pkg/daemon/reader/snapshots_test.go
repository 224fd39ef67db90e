package reader

import (
	"errors"
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

func (r *rig) wantMissing(p session.Peer, id vault.VaultID, asked []session.ID, want ...session.ID) {
	r.Helper()
	got, err := r.d.Missing(r.Context(), p, id, asked)
	r.must(err)
	if !slices.Equal(got, want) {
		r.Fatalf("missing %x, want %x", got, want)
	}
}

// TestInterruptedUpload cuts uploads short. What arrived need not come again
// for the backup that goes on, and what no backup used goes with its commit.
func TestInterruptedUpload(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	phone := r.pair("phone")
	id := r.create(phone, 1)
	cut := errors.New("link lost")
	b := []session.Blob{blob(1, 10), blob(2, 10), blob(3, 10), blob(4, 10)}
	ids := []session.ID{b[0].ID, b[1].ID, b[2].ID, b[3].ID}
	for _, part := range [][]session.Blob{b[3:], b[:2]} { // one given up, one to go on with
		stored, err := r.d.Put(ctx, phone, id, sequence(cut, part...))
		r.want(err, cut)
		if stored != len(part) {
			t.Errorf("%d of %d blobs stored", stored, len(part))
		}
	}
	r.wantMissing(phone, id, ids, ids[2])
	_, err := r.d.Commit(ctx, phone, r.next(id, b[:3]...))
	r.want(err, session.ErrNoData)
	r.wantMissing(phone, id, ids, ids[2]) // the next attempt still finds them
	_, err = r.d.Put(ctx, phone, id, sequence(nil, b[2]))
	r.must(err)
	done := r.next(id, b[:3]...)
	_, err = r.d.Commit(ctx, phone, done)
	r.must(err)
	r.wantMissing(phone, id, ids, ids[3])
	_, err = r.d.Commit(ctx, phone, done) // the answer was lost
	r.must(err)
	r.wantMissing(phone, id, ids, ids[3])
}

// TestOtherVaultsUpload shows that a commit leaves the uploads to other vaults alone.
func TestOtherVaultsUpload(t *testing.T) {
	r := newRig(t)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	a, b := r.create(phone, 1), r.create(tablet, 2)
	_, err := r.d.Put(t.Context(), tablet, b, sequence(nil, blob(1, 10)))
	r.must(err)
	r.backUp(phone, a, blob(2, 10))
	r.wantMissing(tablet, b, []session.ID{blob(1, 10).ID})
}
