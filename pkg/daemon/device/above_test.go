package device

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// plant makes something the newest data set at the reader that is none of this vault's.
func (r *rig) plant(seq uint64) {
	r.Helper()
	v, _, err := r.d.own()
	r.must(err)
	list, err := r.session.Snapshots(r.Context(), session.SnapshotQuery{Vault: v.id})
	r.must(err)
	c := session.Commit{
		Vault: v.id, Snapshot: vault.NewSnapshotID(), Seq: seq, Header: bytes.Repeat([]byte{1}, vault.SealOverhead+20),
	}
	if len(list) > 0 {
		c.Parent = list[0].ID
	}
	_, err = r.session.Commit(r.Context(), c)
	r.must(err)
}

// TestForeignHead saves on top of a newest data set that cannot be read: a card, or the
// reader, brought it. What was saved below it need not be sent again.
func TestForeignHead(t *testing.T) {
	r := newRig(t)
	r.write("a", string(bytes.Repeat([]byte("a long story "), 1000)))
	r.backUp()
	r.plant(1000)
	r.write("b", "more")
	got := r.backUp()
	if !got.Changed || got.Mode != "incremental" || got.Items != 3 || got.ItemsSent != 1 {
		t.Errorf("got %+v", got)
	}
	if again := r.backUp(); again.Changed {
		t.Errorf("once more: %+v", again)
	}
	r.must(os.Remove(filepath.Join(r.d.cfg.Roots[0].Path, "a")))
	back, err := r.d.Reprovision(t.Context(), busapi.ReprovisionRequest{Yes: true}, nil)
	r.must(err)
	if back.Restored != 1 || len(back.Failed) != 0 {
		t.Errorf("restored %+v", back)
	}
}

// TestOnlyForeignHead is the same where there is nothing below.
func TestOnlyForeignHead(t *testing.T) {
	r := newRig(t)
	v, err := r.d.ensure(t.Context(), r.session)
	r.must(err)
	if v.id.IsZero() {
		t.Fatal("no vault")
	}
	r.plant(7)
	r.write("a", "contents")
	if got := r.backUp(); !got.Changed || got.Mode != "full" || got.Items != 2 {
		t.Errorf("got %+v", got)
	}
}

// TestGenerationBeyond has the reader tell of a newest data set, none of this vault's, after
// which hardly another could follow: the device does not count on from there.
func TestGenerationBeyond(t *testing.T) {
	for _, seq := range []uint64{vault.MaxSeq, vault.MaxSeq/2 + 1, vault.MaxSeq / 2, maxAbove + 1} {
		r := newRig(t)
		r.write("a", "contents")
		r.backUp()
		r.plant(seq)
		r.d.familiar.forget()
		r.write("b", "more")
		if got, err := r.d.Backup(t.Context(), false); err == nil {
			t.Errorf("on top of %d: %+v", seq, got)
		}
		var highest uint64
		_, err := r.d.state.load(keyHighest, &highest)
		r.must(err)
		if now := r.d.book.current().Header().Seq; highest > 1 || now != 1 {
			t.Errorf("on top of %d: the device is at %d, %d written down", seq, now, highest)
		}
	}
}

// TestGenerationPoisoned begins with a number written down that cannot have been given out.
func TestGenerationPoisoned(t *testing.T) {
	for _, seq := range []uint64{vault.MaxSeq / 2, vault.MaxSeq + 1, math.MaxUint64} {
		r := newRig(t)
		r.write("a", "contents")
		r.backUp()
		raw, err := cbor.Marshal(seq)
		r.must(err)
		r.must(r.d.state.put(map[string][]byte{keyHighest: raw}))
		r.write("b", "more")
		if got := r.backUp(); !got.Changed || r.d.book.current().Header().Seq != 2 {
			t.Errorf("after %d: %+v as %d", seq, got, r.d.book.current().Header().Seq)
		}
	}
}

// TestGenerationBounds keeps the bound of what a reader tells where vaults have it.
func TestGenerationBounds(t *testing.T) {
	if session.MaxSeq != vault.MaxSeq/2 {
		t.Errorf("%d at most in a session, %d in a vault", session.MaxSeq, uint64(vault.MaxSeq/2))
	}
}
