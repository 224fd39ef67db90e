package reader

import (
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// TestDamagedVault damages one vault's record. Neither its owner nor any other
// device is locked out of the rest.
func TestDamagedVault(t *testing.T) {
	r := newRig(t)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	good, bad := r.create(phone, 1), r.create(tablet, 2)
	r.backUp(phone, good, blob(1, 10))
	r.backUp(tablet, bad, blob(1, 10))
	r.damage(bad, "")
	for _, p := range []session.Peer{phone, tablet} {
		_, err := r.d.Hello(t.Context(), p, session.Hello{})
		r.must(err)
	}
	if got := r.vaults(phone); len(got) != 1 || !got[good].Mine || got[good].Head == nil {
		t.Errorf("the phone is told of %+v", got)
	}
	if got := r.vaults(tablet); len(got) != 0 {
		t.Errorf("the tablet is told of %+v", got)
	}
	if got := r.d.vaultOf(phone.ID); got != good {
		t.Errorf("the phone's vault is %s", got)
	}
	st, err := r.d.Status(t.Context())
	r.must(err)
	if st.Vaults != 1 || st.Stored == 0 || len(st.Devices) != 2 {
		t.Errorf("status %+v", st)
	}
	r.backUp(phone, good, blob(2, 10))
	anew := r.create(tablet, 3)
	r.backUp(tablet, anew, blob(1, 10))
	if got := r.d.vaultOf(tablet.ID); got != anew {
		t.Errorf("the tablet's vault is %s", got)
	}
}

// TestDamagedVaultBlankCard puts in a blank card beside a damaged record: it
// becomes that of the one vault that reads.
func TestDamagedVaultBlankCard(t *testing.T) {
	r := newRig(t)
	phone, tablet := r.pair("phone"), r.pair("tablet")
	good, bad := r.create(phone, 1), r.create(tablet, 2)
	r.backUp(phone, good, blob(1, 10))
	r.damage(bad, "")
	info, err := r.d.CardInit(t.Context(), busapi.CardChoice{})
	r.must(err)
	if info.State != "ok" || !r.d.mirror.holds(good) {
		t.Errorf("card %+v", info)
	}
}

// TestDamagedHead damages the newest snapshot's record: the one before it is
// the newest then, and the next backup follows that.
func TestDamagedHead(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	id := r.create(phone, 1)
	r.backUp(phone, id, blob(1, 10))
	first := r.vaults(phone)[id].Head
	r.backUp(phone, id, blob(2, 10))
	r.damage(id, "snapshots")
	if got := r.vaults(phone)[id].Head; got == nil || got.ID != first.ID {
		t.Fatalf("the head is %+v", got)
	}
	r.backUp(phone, id, blob(3, 10))
	list, err := r.d.Snapshots(t.Context(), phone, session.SnapshotQuery{Vault: id})
	r.must(err)
	if len(list) != 2 || list[0].Parent != first.ID || list[1].ID != first.ID {
		t.Fatalf("snapshots %+v", list)
	}
	if _, err := r.d.store.Snapshots(id); err != nil {
		t.Errorf("still damaged: %v", err)
	}
}

// TestVaultsOfOthers shows that a device learns nothing of another's vault and
// cannot use it, unless that opens to whoever is paired.
func TestVaultsOfOthers(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	phone, tablet := r.pair("phone"), r.pair("tablet")
	secret, open := r.create(phone, 1, "device", "passcode"), r.create(phone, 2, "device", keyring.SlotReader)
	r.backUp(phone, secret, blob(1, 10))
	got := r.vaults(tablet)
	if len(got) != 1 || got[open].Mine || got[open].Owner != "phone" {
		t.Fatalf("the tablet is told of %+v", got)
	}
	if len(r.vaults(phone)) != 2 {
		t.Error("the phone is not told of its own")
	}
	for _, id := range []vault.VaultID{secret, open} {
		_, err := r.d.Snapshots(ctx, tablet, session.SnapshotQuery{Vault: id})
		r.want(err, session.ErrNotAllowed)
		_, err = r.d.Missing(ctx, tablet, id, nil)
		r.want(err, session.ErrNotAllowed)
		_, err = r.d.Put(ctx, tablet, id, sequence(nil, blob(9, 10)))
		r.want(err, session.ErrNotAllowed)
		_, err = r.d.Commit(ctx, tablet, r.next(id))
		r.want(err, session.ErrNotAllowed)
		err = r.d.Get(ctx, tablet, session.BlobQuery{Vault: id}, nil)
		r.want(err, session.ErrNotAllowed)
	}
	_, err := r.d.ClaimVault(ctx, tablet, secret)
	r.want(err, session.ErrNotAllowed)
	err = r.d.CreateVault(ctx, tablet, session.NewVault{ID: secret})
	r.want(err, session.ErrExists)
}

// TestClaimVault is a replacement device taking over (paragraph 38): not while
// the owner is in range, and afterwards the vault is the owner's no more.
func TestClaimVault(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	old, fresh := r.pair("old phone"), r.pair("new phone")
	id := r.create(old, 1, "device", keyring.SlotReader)
	r.backUp(old, id, blob(1, 10))
	r.d.Connected(old)
	_, err := r.d.ClaimVault(ctx, fresh, id)
	r.want(err, session.ErrNotAllowed)
	if !r.vaults(old)[id].Mine || r.vaults(fresh)[id].Mine {
		t.Fatal("a refused claim changed the owner")
	}
	r.d.Disconnected(old, nil)
	slots, err := r.d.ClaimVault(ctx, fresh, id)
	r.must(err)
	if len(slots) != 1 || slots[0].Kind != keyring.SlotReader || string(slots[0].Data) != "wrapped for reader" {
		t.Fatalf("slots %+v", slots)
	}
	if r.vaults(old)[id].Mine || !r.vaults(fresh)[id].Mine {
		t.Fatal("the owner did not change")
	}
	_, err = r.d.Snapshots(ctx, old, session.SnapshotQuery{Vault: id})
	r.want(err, session.ErrNotAllowed)
	r.backUp(fresh, id, blob(2, 10))
	_, err = r.d.ClaimVault(ctx, fresh, vault.VaultID{7})
	r.want(err, session.ErrNoVault)
}
