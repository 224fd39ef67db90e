package keyring_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/bytemare/ksf"

	"github.com/reprovision/reprovision/pkg/keyring"
)

// enrolled is a passcode as reader and device have it after it was set.
type enrolled struct {
	check     []byte
	exportKey []byte
}

func enrol(t *testing.T, secret string, stretch ksf.Identifier) enrolled {
	t.Helper()
	r, err := keyring.NewRegistration()
	if err != nil {
		t.Fatal(err)
	}
	e, err := keyring.NewEnrolment(secret, stretch)
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.Respond(e.Request())
	if err != nil {
		t.Fatal(err)
	}
	record, key, err := e.Finish(response)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Finish(response); !errors.Is(err, keyring.ErrSpent) {
		t.Errorf("an enrolment ran twice: %v", err)
	}
	stored, err := r.Finish(record)
	if err != nil {
		t.Fatal(err)
	}
	return enrolled{check: stored, exportKey: key}
}

// enter runs the ceremony of step 620 and returns the export key.
func (e enrolled) enter(t *testing.T, secret string, stretch ksf.Identifier, at, device []byte) ([]byte, error) {
	t.Helper()
	v, err := keyring.LoadVerifier(e.check, at)
	if err != nil {
		t.Fatal(err)
	}
	p, err := keyring.NewProver(secret, device, stretch)
	if err != nil {
		t.Fatal(err)
	}
	ke2, err := v.Respond(p.KE1())
	if err != nil {
		t.Fatal(err)
	}
	ke3, key, err := p.FinishWithKey(ke2)
	if err != nil {
		if v.Finish(make([]byte, 64)) == nil {
			t.Error("the reader took a made-up KE3")
		}
		return nil, err
	}
	return key, v.Finish(ke3)
}

// TestPasscode runs RFC 9807 as in steps 616 to 620, with Argon2id: the right
// passcode gives the export key, again and again; anything else nothing.
func TestPasscode(t *testing.T) {
	slow := enrol(t, "correct horse", keyring.Stretch)
	if key, err := slow.enter(t, "correct horse", keyring.Stretch, []byte("x"), []byte("x")); err != nil || !bytes.Equal(key, slow.exportKey) {
		t.Fatalf("right passcode, with Argon2id: %v", err)
	}
	if _, err := slow.enter(t, "correct horse", keyring.NoStretch, []byte("x"), []byte("x")); !errors.Is(err, keyring.ErrWrongPasscode) {
		t.Errorf("without Argon2id: %v", err)
	}
	e := enrol(t, "correct horse", keyring.NoStretch)
	for range 2 {
		key, err := e.enter(t, "correct horse", keyring.NoStretch, []byte("x"), []byte("x"))
		if err != nil || !bytes.Equal(key, e.exportKey) || len(key) != 64 {
			t.Fatalf("right passcode: %v", err)
		}
	}
	if _, err := e.enter(t, "wrong horse", keyring.NoStretch, []byte("x"), []byte("x")); !errors.Is(err, keyring.ErrWrongPasscode) {
		t.Errorf("wrong passcode: %v", err)
	}
	if _, err := e.enter(t, "correct horse", keyring.NoStretch, []byte("x"), []byte("y")); !errors.Is(err, keyring.ErrWrongPasscode) {
		t.Errorf("another session's binding: %v", err)
	}
	if other := enrol(t, "correct horse", keyring.NoStretch); bytes.Equal(other.exportKey, e.exportKey) {
		t.Error("two registrations of one passcode give one export key")
	}
	if bytes.Contains(e.check, e.exportKey[:16]) || bytes.Contains(e.check, []byte("horse")) {
		t.Error("the reader holds what it must not")
	}
	if keyring.StretchOf(keyring.SlotPasscode) != keyring.Stretch || keyring.StretchOf(keyring.SlotRecovery) != keyring.NoStretch {
		t.Error("the wrong one of the two is stretched")
	}
}

func TestRegistrationRefusesGarbage(t *testing.T) {
	r, err := keyring.NewRegistration()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(make([]byte, 192)); !errors.Is(err, keyring.ErrSpent) {
		t.Errorf("finished before it was answered: %v", err)
	}
	if _, err := r.Respond(make([]byte, 32)); !errors.Is(err, keyring.ErrBadMessage) {
		t.Errorf("the identity element as request: %v", err)
	}
	if _, err := keyring.LoadVerifier([]byte("x"), nil); !errors.Is(err, keyring.ErrCheck) {
		t.Errorf("garbage as check: %v", err)
	}
}

func slotKey(t *testing.T, kind string, n byte) keyring.SlotKey {
	t.Helper()
	k, err := keyring.NewSlotKey(kind, bytes.Repeat([]byte{n}, 64))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSlots seals one bundle to two slots; each opens with its own secret, for its
// own vault and kind, and with every byte as it was sealed.
func TestSlots(t *testing.T) {
	pass, code := slotKey(t, keyring.SlotPasscode, 1), slotKey(t, keyring.SlotRecovery, 1)
	b := keyring.Bundle{
		Keys:       [][]byte{bytes.Repeat([]byte{5}, 32), bytes.Repeat([]byte{6}, 32)},
		Recipients: map[string][]byte{keyring.SlotPasscode: pass.Recipient(), keyring.SlotRecovery: code.Recipient()},
	}
	id := [16]byte{1}
	slot, err := b.SealSlot(id, keyring.SlotPasscode)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pass.Open(id, slot)
	if err != nil || len(got.Keys) != 2 || !bytes.Equal(got.Keys[0], b.Keys[0]) || len(got.Kinds()) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for name, open := range map[string]func() error{
		"another vault":  func() error { _, err := pass.Open([16]byte{2}, slot); return err },
		"another kind":   func() error { _, err := code.Open(id, slot); return err },
		"another secret": func() error { _, err := slotKey(t, keyring.SlotPasscode, 2).Open(id, slot); return err },
		"nothing":        func() error { _, err := pass.Open(id, nil); return err },
		"no format":      func() error { _, err := pass.Open(id, append([]byte{9}, slot[1:]...)); return err },
	} {
		if err := open(); !errors.Is(err, keyring.ErrSlot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := 0; i < len(slot); i += 7 {
		bad := bytes.Clone(slot)
		bad[i] ^= 1
		if _, err := pass.Open(id, bad); err == nil {
			t.Fatalf("opened with byte %d changed", i)
		}
	}
	if _, err := b.SealSlot(id, "nobody"); err == nil {
		t.Error("sealed to nobody")
	}
	if bytes.Contains(slot, pass.Recipient()[:32]) {
		t.Error("the slot tells the public key that it is sealed to")
	}
}

func TestRecoveryCode(t *testing.T) {
	code, err := keyring.NewRecoveryCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shown := keyring.FormatRecoveryCode(code)
	if len(shown) != 34 || strings.Count(shown, "-") != 6 {
		t.Fatalf("shown as %q", shown)
	}
	for _, typed := range []string{shown, code, strings.ToLower(shown), " " + strings.ReplaceAll(shown, "-", " ") + "\n"} {
		if got, err := keyring.NormalizeRecoveryCode(typed); err != nil || got != code {
			t.Errorf("%q is %q, %v", typed, got, err)
		}
	}
	typed := keyring.FormatRecoveryCode(strings.NewReplacer("0", "o", "1", "l").Replace(code))
	if got, err := keyring.NormalizeRecoveryCode(typed); err != nil || got != code {
		t.Errorf("%q is %q, %v", typed, got, err)
	}
	again, err := keyring.NewRecoveryCode(rand.Reader)
	if err != nil || again == code {
		t.Errorf("the same code twice: %v", err)
	}
}

// TestRecoveryCodeNoticesSlips changes one digit, and swaps two neighbours, at
// every place: of 28 times 31 wrong digits no more than a few may pass a checksum
// of 12 bits.
func TestRecoveryCodeNoticesSlips(t *testing.T) {
	code, err := keyring.NewRecoveryCode(bytes.NewReader(bytes.Repeat([]byte{0x5a, 0x13}, 8)))
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	try := func(s string) {
		if got, err := keyring.NormalizeRecoveryCode(s); err == nil && got != code {
			passed++
		} else if err != nil && !errors.Is(err, keyring.ErrMalformedRecoveryCode) {
			t.Fatal(err)
		}
	}
	for i := range code {
		for _, d := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			try(code[:i] + string(d) + code[i+1:])
		}
		if i > 0 {
			try(code[:i-1] + string(code[i]) + string(code[i-1]) + code[i+1:])
		}
	}
	if passed > 4 {
		t.Errorf("%d slips pass for codes", passed)
	}
	for _, s := range []string{"", "U" + code[1:], code[1:], code + "0", "Passcode with 28 characters."} {
		if _, err := keyring.NormalizeRecoveryCode(s); !errors.Is(err, keyring.ErrMalformedRecoveryCode) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestForgedBundle seals a bundle to the public key of a slot, as whoever had seen that
// could: without what the secret alone gives besides, it does not open.
func TestForgedBundle(t *testing.T) {
	vault := [16]byte{1}
	key, err := keyring.NewSlotKey(keyring.SlotRecovery, bytes.Repeat([]byte{7}, 64))
	if err != nil {
		t.Fatal(err)
	}
	public := key.Recipient()[:len(key.Recipient())-32]
	theirs := keyring.Bundle{Keys: [][]byte{bytes.Repeat([]byte{9}, 32)}, Recipients: map[string][]byte{
		keyring.SlotRecovery: append(bytes.Clone(public), make([]byte, 32)...),
	}}
	slot, err := theirs.SealSlot(vault, keyring.SlotRecovery)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.Open(vault, slot); !errors.Is(err, keyring.ErrSlot) {
		t.Errorf("it opens to %d keys: %v", len(got.Keys), err)
	}
	theirs.Recipients[keyring.SlotRecovery] = key.Recipient()
	if slot, err = theirs.SealSlot(vault, keyring.SlotRecovery); err != nil {
		t.Fatal(err)
	}
	if _, err := key.Open(vault, slot); err != nil {
		t.Errorf("one of the owner's: %v", err)
	}
}

// TestOpenBundle is what a reader slot holds: nothing that a slot could be sealed to.
func TestOpenBundle(t *testing.T) {
	key, err := keyring.NewSlotKey(keyring.SlotRecovery, bytes.Repeat([]byte{7}, 64))
	if err != nil {
		t.Fatal(err)
	}
	b := keyring.Bundle{Keys: [][]byte{make([]byte, 32)}, Epoch: 3, Recipients: map[string][]byte{keyring.SlotRecovery: key.Recipient()}}
	plain, err := b.EncodeOpen()
	if err != nil {
		t.Fatal(err)
	}
	got, err := keyring.DecodeBundle(plain)
	if err != nil || len(got.Recipients) != 0 || got.Epoch != 3 || len(b.Recipients) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestPasscodeInAnyForm enters a passcode as another keyboard spells it: composed, and in
// parts.
func TestPasscodeInAnyForm(t *testing.T) {
	composed, parts := "caf\u00e9 \u00c5ngstr\u00f6m", "cafe\u0301 A\u030angstro\u0308m"
	e := enrol(t, composed, keyring.NoStretch)
	for entry, right := range map[string]bool{composed: true, parts: true, "cafe Angstrom": false} {
		if _, err := e.enter(t, entry, keyring.NoStretch, []byte("x"), []byte("x")); (err == nil) != right {
			t.Errorf("%+q: %v", entry, err)
		}
	}
}
