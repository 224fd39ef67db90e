package reader

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

// TestVaultsWithoutEnd has one device create vaults until it is refused: another one still
// gets its own.
func TestVaultsWithoutEnd(t *testing.T) {
	r := newRig(t)
	greedy, phone := r.pair("greedy"), r.pair("phone")
	made := 0
	for n := range vault.DefaultLimits().Vaults {
		err := r.d.CreateVault(t.Context(), greedy, session.NewVault{ID: vaulttest.Record(byte(n + 1)).ID})
		if err != nil {
			r.want(err, session.ErrOverQuota)
			break
		}
		made++
	}
	r.must(r.d.CreateVault(t.Context(), greedy, session.NewVault{ID: vaulttest.Record(1).ID})) // it is there already
	a := r.create(phone, 200)
	r.backUp(phone, a, blob(1, 500))
	if made != maxVaults {
		t.Errorf("one device has made %d vaults", made)
	}
}

// TestHeadersWithoutEnd has a device commit made-up headers, as large as may be, one after
// the other and without a pause, so that the store is never tidied: what they take is
// bounded. The last good snapshot, of another day, is there after it.
func TestHeadersWithoutEnd(t *testing.T) {
	r := newRig(t)
	quota := int64(1 << 20)
	r.d.cfg.Retention = config.Retention{Last: 3, Daily: 2}
	phone := r.pair("phone")
	r.d.cfg.Devices = []config.ReaderDevice{{ID: phone.ID, Quota: &quota}}
	a := r.create(phone, 1)
	r.backUp(phone, a, blob(1, 500))
	list, err := r.d.snapshots(a)
	r.must(err)
	good := list[0].Snapshot
	r.pass(48 * time.Hour)
	most, refused := int64(0), 0
	for n := range crowd + 30 {
		c := r.next(a)
		c.Header = bytes.Repeat([]byte{1}, vault.MaxHeader)
		if _, err := r.d.Commit(t.Context(), phone, c); err != nil {
			if !errors.Is(err, session.ErrOverQuota) {
				t.Fatal(err)
			}
			refused++
			break
		}
		if n%8 != 0 {
			continue
		}
		list, err = r.d.snapshots(a)
		r.must(err)
		most = max(most, recordBytes(list))
	}
	if limit := int64(recordRoom + 1<<20); most > limit || refused > 0 {
		t.Errorf("headers took %d bytes of %d, %d commits were refused", most, limit, refused)
	}
	list, err = r.d.snapshots(a)
	r.must(err)
	found := false
	for _, s := range list {
		found = found || s.Snapshot == good
	}
	if !found {
		t.Errorf("the good snapshot is gone; %d are there", len(list))
	}
}

// TestHeadersThatAreAllKept has rules that keep all snapshots: then the commit is refused.
func TestHeadersThatAreAllKept(t *testing.T) {
	r := newRig(t)
	quota := int64(1 << 20)
	r.d.cfg.Retention = config.Retention{Last: 1 << 20}
	phone, tablet := r.pair("phone"), r.pair("tablet")
	r.d.cfg.Devices = []config.ReaderDevice{{ID: phone.ID, Quota: &quota}}
	a, b := r.create(phone, 1), r.create(tablet, 2)
	var err error
	for range recordRoom/vault.MaxHeader + 8 {
		c := r.next(a)
		c.Header = bytes.Repeat([]byte{1}, vault.MaxHeader)
		if _, err = r.d.Commit(t.Context(), phone, c); err != nil {
			break
		}
	}
	r.want(err, session.ErrOverQuota)
	r.backUp(tablet, b, blob(1, 500)) // nobody else's matter
}
