package keyring_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/keyring"
)

// TestPINSlot opens a slot with what it was made with, and with nothing else.
func TestPINSlot(t *testing.T) {
	secret, key, id := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), [16]byte{3}
	slot, err := keyring.SealSlot(secret, id, key)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(slot, key[:8]) || bytes.Contains(slot, secret[:8]) {
		t.Error("the slot shows a key")
	}
	if got, err := keyring.OpenSlot(secret, id, slot); err != nil || !bytes.Equal(got, key) {
		t.Fatalf("got %x, %v", got, err)
	}
	other := bytes.Clone(secret)
	other[31] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another secret": func() ([]byte, error) { return keyring.OpenSlot(other, id, slot) },
		"another vault":  func() ([]byte, error) { return keyring.OpenSlot(secret, [16]byte{4}, slot) },
		"the PIN":        func() ([]byte, error) { return keyring.OpenSlot([]byte("123456"), id, slot) },
		"nothing":        func() ([]byte, error) { return keyring.OpenSlot(secret, id, nil) },
		"a byte less":    func() ([]byte, error) { return keyring.OpenSlot(secret, id, slot[:len(slot)-1]) },
	} {
		if got, err := open(); !errors.Is(err, keyring.ErrSlot) || got != nil {
			t.Errorf("%s gives %x, %v", name, got, err)
		}
	}
	for i := range slot {
		changed := bytes.Clone(slot)
		changed[i] ^= 1
		if _, err := keyring.OpenSlot(secret, id, changed); !errors.Is(err, keyring.ErrSlot) {
			t.Fatalf("byte %d does not matter", i)
		}
	}
	if again, err := keyring.SealSlot(secret, id, key); err != nil || bytes.Equal(again, slot) {
		t.Errorf("the same slot twice, %v", err)
	}
	if _, err := keyring.SealSlot([]byte("123456"), id, key); err == nil {
		t.Error("a slot was made with a PIN")
	}
	if _, err := keyring.SealSlot(secret, id, key[:16]); err == nil {
		t.Error("a slot was made for half a key")
	}
}

func TestRememberedSlot(t *testing.T) {
	k, err := keyring.Open(filepath.Join(t.TempDir(), "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := k.Slot(); !errors.Is(err, keyring.ErrNoSlot) {
		t.Errorf("no slot gives %v", err)
	}
	if err := k.SetSlot([16]byte{1}, keyring.SlotCardPIN, []byte("slot")); err != nil {
		t.Fatal(err)
	}
	if id, kind, slot, err := k.Slot(); err != nil || id != [16]byte{1} || kind != keyring.SlotCardPIN || string(slot) != "slot" {
		t.Errorf("got %x, %q, %q, %v", id, kind, slot, err)
	}
	if err := errors.Join(k.ClearSlot(), k.ClearSlot()); err != nil {
		t.Error(err)
	}
	if _, _, _, err := k.Slot(); !errors.Is(err, keyring.ErrNoSlot) {
		t.Errorf("a cleared slot gives %v", err)
	}
}
