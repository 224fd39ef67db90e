package device

import (
	"context"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// mine is this device's vault, as the reader has it.
func (r *rig) mine() session.Vault {
	r.Helper()
	list, err := r.session.Vaults(r.Context())
	r.must(err)
	if len(list) != 1 || !list[0].Mine {
		r.Fatalf("vaults %+v", list)
	}
	return list[0]
}

// wrapped tells how many of the newest snapshot's blobs have an outer layer, and how many not.
func (r *rig) wrapped() (with, without int) {
	r.Helper()
	ds := r.d.book.current()
	q := session.BlobQuery{Vault: r.mine().ID, IDs: plain(append(ds.Blobs(vault.Critical), ds.Blobs(vault.Bulk)...))}
	r.must(r.session.Get(r.Context(), q, func(b session.Blob) error {
		if b.Data[0] == 2 {
			with++
		} else {
			without++
		}
		return nil
	}))
	return with, without
}

// TestCatchUp wraps what lies at a reader whose slots are older than the device's, or
// came to it on a card, without being asked.
func TestCatchUp(t *testing.T) {
	for name, prepare := range map[string]func(*rig){
		"older": func(r *rig) {
			held, err := r.d.keys.VaultKey()
			r.must(err)
			held.Epoch = 5
			r.must(r.d.keys.SetVaultKey(held))
		},
		"from a card": func(r *rig) {
			r.reader.vaults = func(list []session.Vault) []session.Vault {
				list[0].Behind = true
				return list
			}
			r.reader.slots = func(_ context.Context, do func() (session.CardState, error)) (session.CardState, error) {
				r.reader.vaults = nil
				return do()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a", "contents")
			r.backUp()
			if with, without := r.wrapped(); with != 0 || without == 0 {
				t.Fatalf("%d wrapped, %d not", with, without)
			}
			prepare(r)
			r.backUp()
			held, err := r.d.keys.VaultKey()
			r.must(err)
			if got := r.mine(); got.Epoch != held.Epoch || held.Epoch == 0 || held.Next != nil {
				t.Errorf("the reader has epoch %d, the device %d", got.Epoch, held.Epoch)
			}
			if with, without := r.wrapped(); with == 0 || without != 0 {
				t.Errorf("%d wrapped, %d not", with, without)
			}
			if again := r.backUp(); again.Changed {
				t.Errorf("once more: %+v", again)
			}
		})
	}
}

// TestLyingClaim takes data over by a recovery code from a reader that lists no slot with a
// passcode, and says that the data open by themselves: it never gets the keys for that.
func TestLyingClaim(t *testing.T) {
	b := keyring.Bundle{Keys: [][]byte{make([]byte, 32)}}
	for _, kinds := range [][]string{{keyring.SlotReader, keyring.SlotRecovery}, {keyring.SlotRecovery}, {}} {
		var from session.Vault
		for _, kind := range kinds {
			from.Slots = append(from.Slots, session.Slot{Kind: kind})
		}
		if held := claimed(from, &entry{kind: keyring.SlotRecovery}, b); !held.Protected {
			t.Errorf("slots %v: not protected", kinds)
		}
		if held := claimed(from, nil, b); held.Protected {
			t.Errorf("slots %v, opened without a secret: protected", kinds)
		}
	}
	if held := claimed(session.Vault{Slots: []session.Slot{{Kind: keyring.SlotPasscode}}}, nil, b); !held.Protected {
		t.Error("a passcode slot, opened without one: not protected")
	}
}

// answers has the agent answer what it is asked.
type answers struct {
	busapi.Prompter
	passcode string
}

func (a answers) NewPasscode(context.Context, bool) (string, error) { return a.passcode, nil }

// TestRefusedAfterAll changes the slots at the reader, which says that it has not: the
// keys in force are not forgotten.
func TestRefusedAfterAll(t *testing.T) {
	for _, refusal := range []error{session.ErrTooLarge, session.ErrStale, session.ErrNotAllowed, session.ErrBadRequest} {
		r := newRig(t)
		r.write("a", "contents")
		r.backUp()
		r.reader.slots = func(_ context.Context, do func() (session.CardState, error)) (session.CardState, error) {
			if _, err := do(); err != nil {
				t.Errorf("the reader: %v", err)
			}
			return session.CardState{}, refusal
		}
		if _, err := r.d.SetPasscode(t.Context(), busapi.PasscodeRequest{}, answers{passcode: "correct horse"}); err != nil {
			t.Errorf("%v: %v", refusal, err)
		}
		r.reader.slots = nil
		held, err := r.d.keys.VaultKey()
		r.must(err)
		if len(held.Keys) != 2 || !held.Protected || held.Next != nil || held.Epoch != r.mine().Epoch {
			t.Errorf("%v: the device has %d keys, protected %v, epoch %d", refusal, len(held.Keys), held.Protected, held.Epoch)
		}
		r.write("b", "more")
		if got := r.backUp(); !got.Changed {
			t.Errorf("%v: %+v", refusal, got)
		}
	}
}
