package authorization_test

import (
	"slices"
	"testing"

	"github.com/reprovision/reprovision/pkg/authorization"
)

// TestVouchers changes each thing that a voucher is for, one at a time, and its signer.
func TestVouchers(t *testing.T) {
	device, other := newDevice(t), newDevice(t)
	id := func(n byte) [16]byte { return [16]byte{n} }
	head := authorization.Head{Vault: id(1), Snapshot: id(2), Parent: id(3), Seq: 4, Critical: [][16]byte{id(5), id(6)}}
	voucher, err := head.Vouch(device)
	if err != nil {
		t.Fatal(err)
	}
	if len(voucher) != authorization.VoucherSize || !head.VouchedBy(device.Public(), voucher) {
		t.Fatalf("a voucher of %d bytes does not hold", len(voucher))
	}
	for name, change := range map[string]func(*authorization.Head){
		"vault": func(h *authorization.Head) { h.Vault = id(9) }, "snapshot": func(h *authorization.Head) { h.Snapshot = id(9) },
		"parent": func(h *authorization.Head) { h.Parent = id(9) }, "generation": func(h *authorization.Head) { h.Seq++ },
		"a blob": func(h *authorization.Head) { h.Critical = [][16]byte{id(5), id(9)} }, "fewer blobs": func(h *authorization.Head) { h.Critical = h.Critical[:1] },
		"their order": func(h *authorization.Head) { h.Critical = [][16]byte{id(6), id(5)} },
	} {
		changed := head
		if change(&changed); changed.VouchedBy(device.Public(), voucher) {
			t.Errorf("another %s: it holds", name)
		}
	}
	if head.VouchedBy(other.Public(), voucher) || head.VouchedBy(nil, voucher) || head.VouchedBy(device.Public(), nil) {
		t.Error("it holds for another device, or none, or is none")
	}

	slots := authorization.Slots{Vault: id(1), Epoch: 2, Slots: []authorization.Slot{{Kind: "a", Data: []byte("bc")}, {Kind: "d"}}}
	if voucher, err = slots.Vouch(device); err != nil {
		t.Fatal(err)
	}
	turned := authorization.Slots{Vault: id(1), Epoch: 2, Slots: []authorization.Slot{{Kind: "d"}, {Kind: "a", Data: []byte("bc")}}}
	if !slots.VouchedBy(device.Public(), voucher) || !turned.VouchedBy(device.Public(), voucher) {
		t.Error("it does not hold, or not in another order")
	}
	for name, changed := range map[string]authorization.Slots{
		"vault": {Vault: id(9), Epoch: 2, Slots: slots.Slots}, "epoch": {Vault: id(1), Epoch: 3, Slots: slots.Slots},
		"slots": {Vault: id(1), Epoch: 2, Slots: []authorization.Slot{{Kind: "ab", Data: []byte("c")}, {Kind: "d"}}},
		"fewer": {Vault: id(1), Epoch: 2, Slots: slots.Slots[:1]}, "more": {Vault: id(1), Epoch: 2, Slots: append(slices.Clone(slots.Slots), slots.Slots...)},
	} {
		if changed.VouchedBy(device.Public(), voucher) {
			t.Errorf("another %s: it holds", name)
		}
	}
}
