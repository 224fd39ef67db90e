package device

import (
	"context"
	"testing"
	"time"

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
			r.reader.slots = func(_ session.SlotChange, do func() (session.CardState, error)) (session.CardState, error) {
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
			r.d.familiar.forget() // as with another card, or another session
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
	for _, refusal := range []error{session.ErrTooLarge, session.ErrBadRequest} {
		r := newRig(t)
		r.write("a", "contents")
		r.backUp()
		r.reader.slots = func(_ session.SlotChange, do func() (session.CardState, error)) (session.CardState, error) {
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

// opensWith tells whether a recovery code opens the data at the reader, all the way.
func (r *rig) opensWith(code string) bool {
	r.Helper()
	secret, err := keyring.NormalizeRecoveryCode(code)
	r.must(err)
	at := session.Entry{Vault: r.mine().ID, Kind: keyring.SlotRecovery}
	binding, err := (&restoreRun{Daemon: r.d, session: r.session}).binding(at)
	r.must(err)
	prover, err := keyring.NewProver(secret, binding, keyring.NoStretch)
	r.must(err)
	ke2, err := r.session.Unlock(r.Context(), at, prover.KE1())
	r.must(err)
	ke3, exported, err := prover.FinishWithKey(ke2)
	if err != nil {
		return false
	}
	r.must(r.session.Prove(r.Context(), at, ke3))
	slots, err := r.session.ClaimVault(r.Context(), at.Vault)
	r.must(err)
	key, err := keyring.NewSlotKey(keyring.SlotRecovery, exported)
	r.must(err)
	_, err = key.Open(at.Vault, slots[0].Data)
	return err == nil
}

// TestLostRecoveryCode has the link go while a second recovery code is set, before and
// after the reader has heard of it: the owner gets the code, and knows which is in force.
func TestLostRecoveryCode(t *testing.T) {
	for name, heard := range map[string]bool{"heard": true, "not heard": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a", "contents")
			r.backUp()
			first, err := r.d.NewRecoveryCode(t.Context())
			r.must(err)
			if first.Pending || !r.opensWith(first.Code) {
				t.Fatal("the first code does not open the data")
			}
			r.reader.slots = func(_ session.SlotChange, do func() (session.CardState, error)) (session.CardState, error) {
				var state session.CardState
				if heard {
					state, _ = do()
				}
				_ = r.session.Close()
				return state, nil
			}
			second, err := r.d.NewRecoveryCode(t.Context())
			r.must(err)
			if !second.Pending || second.Code == "" {
				t.Errorf("got %+v", second)
			}
			st, err := r.d.Status(t.Context())
			r.must(err)
			if st.KeysPending == 0 {
				t.Error("the status says nothing")
			}
			r.reader.slots = nil
			r.session = r.dial()
			r.backUp()
			if st, err = r.d.Status(t.Context()); err != nil || st.KeysPending != 0 {
				t.Errorf("since %d, %v", st.KeysPending, err)
			}
			if r.opensWith(first.Code) == heard || r.opensWith(second.Code) != heard {
				t.Error("the wrong one of the codes opens the data")
			}
		})
	}
}

// TestHeldOff has a reader refuse to change its keys: the status says so until it does.
func TestHeldOff(t *testing.T) {
	r := newRig(t)
	r.write("a", "contents")
	r.backUp()
	r.reader.slots = func(session.SlotChange, func() (session.CardState, error)) (session.CardState, error) {
		return session.CardState{}, session.ErrBusy
	}
	if _, err := r.d.SetPasscode(t.Context(), busapi.PasscodeRequest{}, answers{passcode: "correct horse"}); err == nil {
		t.Fatal("it is set")
	}
	began := time.Now()
	r.d.now = func() time.Time { return began.Add(48 * time.Hour) }
	r.write("b", "more")
	r.backUp() // goes on all the same
	st, err := r.d.Status(t.Context())
	r.must(err)
	if age := st.KeysPending - began.Unix(); st.KeysPending == 0 || age < -60 || age > 60 {
		t.Errorf("pending since %d", st.KeysPending)
	}
	r.reader.slots = nil
	r.backUp()
	if st, err = r.d.Status(t.Context()); err != nil || st.KeysPending != 0 {
		t.Errorf("pending since %d, %v", st.KeysPending, err)
	}
}

// TestUnknownPasscode is at a reader that cannot check the passcode, for it was set at
// another one: its old slots do not stay for that, and nothing opens the data instead.
func TestUnknownPasscode(t *testing.T) {
	r := newRig(t)
	r.write("a", "contents")
	r.backUp()
	_, err := r.d.SetPasscode(t.Context(), busapi.PasscodeRequest{}, answers{passcode: "correct horse"})
	r.must(err)
	held, err := r.d.keys.VaultKey()
	r.must(err)
	held.Epoch += 3
	r.must(r.d.keys.SetVaultKey(held))
	r.reader.slots = func(c session.SlotChange, do func() (session.CardState, error)) (session.CardState, error) {
		for _, s := range c.Slots {
			if s.Kind == keyring.SlotPasscode {
				return session.CardState{}, session.ErrBadRequest
			}
		}
		return do()
	}
	r.backUp()
	if v := r.mine(); len(v.Slots) != 0 || v.Epoch <= held.Epoch {
		t.Errorf("the reader has %+v", v)
	}
	if held, err = r.d.keys.VaultKey(); err != nil || !held.Protected || held.Next != nil || len(held.Recipients) != 0 {
		t.Errorf("the device has %+v, %v", held.Recipients, err)
	}
	r.reader.slots = nil
	_, err = r.d.SetPasscode(t.Context(), busapi.PasscodeRequest{}, answers{passcode: "correct horse"})
	r.must(err)
}

// TestRefusedRotation has a reader refuse a planned rotation, for whatever reason: it
// stays planned, and the status says so, until it is done.
func TestRefusedRotation(t *testing.T) {
	for _, refusal := range []error{session.ErrBadRequest, session.ErrNotAllowed, session.ErrNoVault, session.ErrStale, session.ErrTooLarge} {
		r := newRig(t)
		r.write("a", "contents")
		r.backUp()
		code, err := r.d.NewRecoveryCode(t.Context())
		r.must(err)
		held, err := r.d.keys.VaultKey()
		r.must(err)
		planned, err := r.d.takeUp(keyring.VaultKey{Vault: held.Vault, Bundle: held.Bundle})
		r.must(err)
		if planned.id != held.Vault {
			t.Fatal("another vault")
		}
		r.reader.slots = func(session.SlotChange, func() (session.CardState, error)) (session.CardState, error) {
			return session.CardState{}, refusal
		}
		for range 2 {
			r.d.familiar.forget()
			r.backUp()
			st, err := r.d.Status(t.Context())
			r.must(err)
			now, err := r.d.keys.VaultKey()
			r.must(err)
			if st.KeysPending == 0 || now.Next == nil || len(now.Next.Keys) != len(held.Keys)+1 || len(now.Next.Recipients) != 1 {
				t.Fatalf("%v: pending since %d, planned %v", refusal, st.KeysPending, now.Next != nil)
			}
		}
		r.reader.slots = nil
		r.d.familiar.forget()
		r.backUp()
		now, err := r.d.keys.VaultKey()
		r.must(err)
		if now.Next != nil || len(now.Keys) != len(held.Keys)+1 || !r.opensWith(code.Code) {
			t.Errorf("%v: the rotation is not done", refusal)
		}
	}
}

// TestRefusedRegistration cuts off the setting of a passcode, of which the reader does
// not know when it is asked again: the passcode is void, and the rotation is not.
func TestRefusedRegistration(t *testing.T) {
	for _, refusal := range []error{session.ErrBadRequest, session.ErrNotAllowed, session.ErrStale} {
		r := newRig(t)
		r.write("a", "contents")
		r.backUp()
		answer := session.ErrBusy
		r.reader.slots = func(session.SlotChange, func() (session.CardState, error)) (session.CardState, error) {
			return session.CardState{}, answer
		}
		if _, err := r.d.SetPasscode(t.Context(), busapi.PasscodeRequest{}, answers{passcode: "correct horse"}); err == nil {
			t.Fatal("it is set")
		}
		answer = refusal
		r.d.familiar.forget()
		r.backUp()
		held, err := r.d.keys.VaultKey()
		r.must(err)
		if held.Next == nil || len(held.Next.Keys) != 2 || len(held.Next.Recipients) != 0 || held.NextProtected {
			t.Fatalf("%v: planned %+v", refusal, held.Next != nil)
		}
		r.reader.slots = nil
		r.d.familiar.forget()
		r.backUp()
		if held, err = r.d.keys.VaultKey(); err != nil || held.Next != nil || len(held.Keys) != 2 || held.Protected {
			t.Errorf("%v: %d keys, %v", refusal, len(held.Keys), err)
		}
	}
}
