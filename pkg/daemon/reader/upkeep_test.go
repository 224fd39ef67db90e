package reader

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// seqs lists the generations that a vault has, the newest first.
func (r *rig) seqs(id vault.VaultID) (out []uint64) {
	r.Helper()
	list, err := r.d.snapshots(id)
	r.must(err)
	for _, s := range list {
		out = append(out, s.Seq)
	}
	return out
}

func (r *rig) wantSeqs(id vault.VaultID, want ...uint64) {
	r.Helper()
	if got := r.seqs(id); !slices.Equal(got, want) {
		r.Fatalf("generations %v are left, want %v", got, want)
	}
}

// generations backs up blobs 1 to n, each in place of the one before.
func (r *rig) generations(p session.Peer, id vault.VaultID, n byte) (blobs []session.ID) {
	r.Helper()
	for i := byte(1); i <= n; i++ {
		_, err := r.d.Put(r.Context(), p, id, sequence(nil, blob(i, 10)))
		r.must(err)
		c := r.next(id, blob(i, 10))
		if i > 1 {
			c.Drop = []session.ID{blob(i-1, 10).ID}
		}
		c.Critical = nil
		_, err = r.d.Commit(r.Context(), p, c)
		r.must(err)
		blobs = append(blobs, blob(i, 10).ID)
	}
	return blobs
}

// spoil damages a stored blob, as a medium does.
func (r *rig) spoil(id vault.VaultID, b session.ID) {
	r.Helper()
	r.change(id, "blobs", b[:])
}

// get fetches blobs as a device does that restores a snapshot.
func (r *rig) get(p session.Peer, id vault.VaultID, snapshot session.ID, ids ...session.ID) error {
	return r.d.Get(r.Context(), p, session.BlobQuery{Vault: id, IDs: ids, Snapshot: snapshot}, func(session.Blob) error { return nil })
}

func TestTidyKeepsWhatTheRulesSay(t *testing.T) {
	r := newRig(t)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	r.d.cfg.Retention = config.Retention{Last: 2}
	three := 3
	r.d.cfg.Devices = []config.ReaderDevice{{ID: tablet.ID, Last: &three}}
	a, b := r.create(phone, 1), r.create(tablet, 2)
	blobs := r.generations(phone, a, 6)
	r.generations(tablet, b, 6)
	// The first is being restored, the second is not there at all.
	list, err := r.d.snapshots(a)
	r.must(err)
	r.must(r.get(phone, a, list[5].Snapshot, blobs[0]))
	r.must(r.get(phone, a, session.ID{99}, blobs[0]))
	r.must(r.d.tidy(r.Context()))
	r.wantSeqs(a, 6, 5, 1)
	r.wantSeqs(b, 6, 5, 4)
	r.wantMissing(phone, a, blobs, blobs[1], blobs[2], blobs[3])
	// Across a restart, and no longer than needed.
	r.must(r.d.ledger.flush())
	again, err := openLedger(r.d.ledger.file)
	r.must(err)
	r.d.ledger = again
	r.d.uses.committed(a)
	r.must(r.d.tidy(r.Context()))
	r.wantSeqs(a, 6, 5, 1)
	r.d.now = func() time.Time { return time.Unix(1_700_000_000, 0).Add(holdTime + time.Hour) }
	r.must(r.d.tidy(r.Context()))
	r.wantSeqs(a, 6, 5)
}

// TestTidySparesUploads leaves a vault alone while its device relies on what it was told.
func TestTidySparesUploads(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	r.d.cfg.Retention = config.Retention{Last: 1}
	id := r.create(phone, 1)
	blobs := r.generations(phone, id, 3)
	r.wantMissing(phone, id, blobs)
	r.must(r.d.tidy(r.Context()))
	r.wantSeqs(id, 3, 2, 1)
	c := r.next(id)
	c.Add = []session.ID{blobs[0]} // contents that were there once
	_, err := r.d.Commit(r.Context(), phone, c)
	r.must(err)
	r.must(r.d.tidy(r.Context()))
	r.wantSeqs(id, 4)
	r.wantMissing(phone, id, blobs, blobs[1])
	_, err = r.d.Put(r.Context(), phone, id, sequence(nil, blob(9, 10)))
	r.must(err)
	r.d.Disconnected(phone, nil) // what was staged stays for the next session
	r.must(r.d.tidy(r.Context()))
	r.wantMissing(phone, id, append(blobs, blob(9, 10).ID), blobs[1])
}

// TestDamageIsFoundNamedAndHealed goes from a flipped byte to a whole store.
func TestDamageIsFoundNamedAndHealed(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	r.d.cfg.Store.ScrubRate = 1 << 30
	r.d.cfg.Retention = config.Retention{Last: 1}
	id := r.create(phone, 1)
	blobs := r.generations(phone, id, 3)
	r.spoil(id, blobs[2])
	r.must(r.d.scrub(r.Context()))
	st, err := r.d.Status(t.Context())
	r.must(err)
	if st.DamagedBlobs != 1 || len(st.Damage) != 1 || st.Damage[0].Blob != vault.BlobID(blobs[2]).String() ||
		!st.Damage[0].Newest || st.Damage[0].Device != phone.ID || st.LastScrub == 0 {
		t.Fatalf("status %+v", st)
	}
	r.must(r.d.tidy(r.Context()))
	r.wantSeqs(id, 3, 2) // the newest, and the newest good one
	if got := r.vaults(phone)[id].Damaged; !slices.Equal(got, blobs[2:]) {
		t.Errorf("the device is told of %x", got)
	}
	if e := r.firstEvent(phone); e.Kind != session.EventDamage || e.Blobs != 1 {
		t.Errorf("event %+v", e)
	}
	r.wantMissing(phone, id, blobs, blobs[0], blobs[2])
	anew := blob(3, 11)
	_, err = r.d.Put(r.Context(), phone, id, sequence(nil, anew))
	r.must(err)
	r.must(r.get(phone, id, session.ID{}, blobs[2]))
	if got := r.vaults(phone)[id].Damaged; len(got) > 0 {
		t.Errorf("still damaged: %x", got)
	}
	r.d.uses.committed(id)
	r.must(r.d.tidy(r.Context()))
	r.wantSeqs(id, 3)
}

// firstEvent is what a device hears first.
func (r *rig) firstEvent(p session.Peer) (first session.Event) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	enough := errors.New("enough")
	r.want(r.d.Events(ctx, p, func(e session.Event) error { first = e; return enough }), enough)
	return first
}

// TestDamageIsFoundByUse blames what a restore or a commit stumbles over.
func TestDamageIsFoundByUse(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	blobs := r.generations(phone, id, 1)
	r.spoil(id, blobs[0])
	r.wantMissing(phone, id, blobs)
	r.want(r.get(phone, id, session.ID{}, blobs[0]), session.ErrDamaged)
	r.wantMissing(phone, id, blobs, blobs[0])
	_, err := r.d.Put(r.Context(), phone, id, sequence(nil, blob(2, 10)))
	r.must(err)
	r.spoil(id, blob(2, 10).ID)
	_, err = r.d.Commit(r.Context(), phone, r.next(id, blob(2, 10)))
	r.want(err, session.ErrDamaged)
	r.wantMissing(phone, id, []session.ID{blob(2, 10).ID}, blob(2, 10).ID)
	_, err = r.d.Put(r.Context(), phone, id, sequence(nil, blob(2, 12)))
	r.must(err)
	_, err = r.d.Commit(r.Context(), phone, r.next(id, blob(2, 12)))
	r.must(err)
}

// TestScrubGoesOn interrupts a scrub: after a restart it goes on behind what it has read.
func TestScrubGoesOn(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	r.d.cfg.Store.ScrubRate = 1 << 30
	id := r.create(phone, 1)
	blobs := r.generations(phone, id, 3)
	r.spoil(id, blobs[0])
	r.spoil(id, blobs[2])
	r.must(r.d.noteScrub(id, blobs[1]))
	again, err := openLedger(r.d.ledger.file)
	r.must(err)
	r.d.ledger = again
	if wait := r.d.untilScrub(time.Hour); wait != 0 {
		t.Errorf("waits %v", wait)
	}
	r.must(r.d.scrub(r.Context()))
	if got, err := r.d.store.Damaged(id); err != nil || len(got) != 1 || got[0] != vault.BlobID(blobs[2]) {
		t.Errorf("found %v, %v", got, err)
	}
	if wait := r.d.untilScrub(time.Hour); wait != time.Hour {
		t.Errorf("waits %v", wait)
	}
}

// TestUnreadableRecords removes a record that does not read once there is a good one above,
// and collects again.
func TestUnreadableRecords(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	r.d.cfg.Retention = config.Retention{Last: 9}
	id := r.create(phone, 1)
	blobs := r.generations(phone, id, 3)
	r.change(id, "snapshots", []byte{0, 0, 0, 0, 0, 0, 0, 1})
	r.must(r.d.tidy(r.Context()))
	if _, err := r.d.store.Snapshots(id); err != nil {
		t.Error(err)
	}
	r.wantSeqs(id, 3, 2)
	r.wantMissing(phone, id, blobs, blobs[0])
}

func TestQuota(t *testing.T) {
	r := newRig(t)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	a, b := r.create(phone, 1), r.create(tablet, 2)
	quota := int64(2*vault.SealOverhead + 1000)
	r.d.cfg.Devices = []config.ReaderDevice{{ID: phone.ID, Quota: &quota}}
	r.backUp(phone, a, blob(1, 500))
	_, err := r.d.Put(r.Context(), phone, a, sequence(nil, blob(2, 501)))
	r.want(err, session.ErrOverQuota)
	r.backUp(tablet, b, blob(2, 5000))
	r.backUp(phone, a, blob(3, 500))
	list, err := r.d.Devices(t.Context())
	r.must(err)
	for _, p := range list {
		if p.ID == phone.ID && (p.Usage.Used != quota || p.Usage.Quota != quota || p.Usage.Blobs != 2) {
			t.Errorf("usage %+v", p.Usage)
		}
	}
}

// TestQuotaShares leaves room for one device more than there are.
func TestQuotaShares(t *testing.T) {
	r := newRig(t)
	var shares []int64
	for _, name := range []string{"a", "b", "c"} {
		p := r.pair(name)
		used, err := r.d.used()
		r.must(err)
		q, err := r.d.quota(p.ID, used)
		r.must(err)
		shares = append(shares, q)
	}
	for i := range 2 { // a half, a third, a quarter, as far as the disk stands still
		want := float64(shares[0]) * 2 / float64(i+3)
		if got := float64(shares[i+1]); got < 0.8*want || got > 1.25*want {
			t.Errorf("shares %v", shares)
		}
	}
}

// TestQuotaOfTheFirst lets a device go on that had filled more than its share before another
// one came, and the other one find its room.
func TestQuotaOfTheFirst(t *testing.T) {
	r := newRig(t)
	const size = 1 << 20
	full := func() (int64, error) {
		used, err := r.d.used()
		n := int64(size)
		for _, u := range used {
			n -= u.Bytes
		}
		return n, err
	}
	r.d.free = full
	phone := r.pair("phone")
	a := r.create(phone, 1)
	r.backUp(phone, a, blob(1, 500_000)) // of half a megabyte for each of two
	tablet := r.pair("tablet")
	b := r.create(tablet, 2)
	for n := byte(2); n < 12; n++ { // an incremental backup after the other
		r.backUp(phone, a, blob(n, 10_000))
	}
	r.backUp(tablet, b, blob(1, 300_000)) // what is its own, it has
	r.backUp(phone, a, blob(12, 5_000))
	var many []session.Blob
	for n := byte(20); n < 40; n++ { // in one upload, and not more by sending it bit by bit
		many = append(many, blob(n, 4_000))
		_, err := r.d.Put(r.Context(), phone, a, sequence(nil, many[len(many)-1]))
		if errors.Is(err, session.ErrOverQuota) {
			break
		}
		r.must(err)
	}
	if len(many) < 2 || len(many) == 20 {
		t.Errorf("%d blobs at once", len(many))
	}
	r.backUp(phone, a, blob(50, 3_000)) // after that as before
}

func TestLedgerThatDoesNotRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "upkeep.json")
	for _, text := range []string{"", "{", `{"held": 3}`, `{"held": null, "scrub": {"vault": "x"}}`} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		l, err := openLedger(file)
		if err != nil {
			t.Fatal(err)
		}
		if unsaved := l.hold(vault.VaultID{1}, vault.SnapshotID{2}, time.Unix(1, 0)); !unsaved {
			t.Errorf("%q: nothing to save", text)
		}
		if err := l.flush(); err != nil || l.hold(vault.VaultID{1}, vault.SnapshotID{2}, time.Unix(9, 0)) {
			t.Errorf("%q: saved again, or %v", text, err)
		}
	}
}

// TestIdle waits while a call is running, and no longer.
func TestIdle(t *testing.T) {
	u := newUses()
	end := u.begin()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := u.idle(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	time.AfterFunc(10*time.Millisecond, end)
	if err := u.idle(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
}
