package reader

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// owned is a device with real keys, as far as this package has to do with it.
type owned struct {
	*rig
	peer   session.Peer
	id     vault.VaultID
	bundle keyring.Bundle
	sealed [][]byte // all that it has ever sent, as it was sealed
}

// own makes a device whose owner chose no passcode, with one backup.
func (r *rig) own(name string, n byte) *owned {
	r.Helper()
	o := &owned{rig: r, peer: r.pair(name), id: vault.VaultID{n, 9}}
	o.peer.Exporter = bytes.Repeat([]byte{n}, 32)
	o.bundle = keyring.Bundle{Keys: [][]byte{o.draw()}, Recipients: map[string][]byte{}}
	plain, err := o.bundle.Encode()
	r.must(err)
	r.must(r.d.CreateVault(r.Context(), o.peer, session.NewVault{ID: o.id, Slots: []session.Slot{{Kind: keyring.SlotReader, Data: plain}}}))
	r.initCard()
	o.save(1)
	return o
}

func (o *owned) draw() []byte {
	k, err := vault.NewKey()
	o.must(err)
	return k.Bytes()
}

func (o *owned) key() vault.Key {
	o.Helper()
	k, err := vault.KeyOfAges(o.bundle.Keys)
	o.must(err)
	return k
}

// save backs one blob up.
func (o *owned) save(n byte) {
	o.Helper()
	b := session.Blob{ID: session.ID{n, 2}}
	var err error
	b.Data, err = o.key().Seal(vault.KindPack, o.id, b.ID, bytes.Repeat([]byte("canary contents"), 40))
	o.must(err)
	_, err = o.d.Put(o.Context(), o.peer, o.id, sequence(nil, b))
	o.must(err)
	c := o.next(o.id, b)
	c.Header, err = o.key().Seal(vault.KindHeader, o.id, vault.BlobID(c.Snapshot), []byte("canary header"))
	o.must(err)
	state, err := o.d.Commit(o.Context(), o.peer, c)
	o.must(err)
	if state.Status != session.CardOK {
		o.Fatalf("card %+v", state)
	}
	o.sealed = append(o.sealed, b.Data, c.Header)
}

func tag(recipient []byte) session.ID {
	d := sha256.Sum256(recipient)
	return session.ID(d[:16])
}

// set registers a secret and changes the slots to those that it makes, with another key.
func (o *owned) set(kind, secret string) {
	o.Helper()
	e, err := keyring.NewEnrolment(secret, keyring.NoStretch) // what it costs is the keyring's business
	o.must(err)
	response, err := o.d.Register(o.Context(), o.peer, session.Entry{Vault: o.id, Kind: kind}, e.Request())
	o.must(err)
	record, exported, err := e.Finish(response)
	o.must(err)
	slot, err := keyring.NewSlotKey(kind, exported)
	o.must(err)
	before := o.key().Outer()
	o.bundle = o.bundle.Clone()
	o.bundle.Keys = append([][]byte{o.draw()}, o.bundle.Keys...)
	o.bundle.Recipients[kind] = slot.Recipient()
	after := o.key().Outer()
	change := o.change(map[string][]byte{kind: record})
	for range 2 { // an answer that got lost does no harm
		change.Wrap = bytes.Clone(after[:])
		if len(o.bundle.Keys) > 2 {
			change.Strip = [][]byte{bytes.Clone(before[:])}
		}
		state, err := o.d.ChangeSlots(o.Context(), o.peer, change)
		o.must(err)
		if state.Status != session.CardOK {
			o.Fatalf("card %+v", state)
		}
		change.Slots = o.change(nil).Slots
	}
}

func (o *owned) change(records map[string][]byte) session.SlotChange {
	o.Helper()
	c := session.SlotChange{Vault: o.id}
	for _, kind := range o.bundle.Kinds() {
		data, err := o.bundle.SealSlot(o.id, kind)
		o.must(err)
		c.Slots = append(c.Slots, session.NewSlot{
			Slot: session.Slot{Kind: kind, Data: data}, Tag: tag(o.bundle.Recipients[kind]), Record: records[kind],
		})
	}
	return c
}

// enter enters a secret at another device.
func (o *owned) enter(p session.Peer, kind, secret string) (keyring.SlotKey, error) {
	o.Helper()
	at := session.Entry{Vault: o.id, Kind: kind}
	id, err := o.d.keys.Identity()
	o.must(err)
	binding, err := keyring.UnlockBinding(p.Exporter, p.Key, id.Public(), o.id, kind)
	o.must(err)
	prover, err := keyring.NewProver(secret, binding, keyring.NoStretch)
	o.must(err)
	ke2, err := o.d.Unlock(o.Context(), p, at, prover.KE1())
	if err != nil {
		return keyring.SlotKey{}, err
	}
	ke3, exported, err := prover.FinishWithKey(ke2)
	if err != nil {
		return keyring.SlotKey{}, o.d.Prove(o.Context(), p, at, nil)
	}
	if err := o.d.Prove(o.Context(), p, at, ke3); err != nil {
		return keyring.SlotKey{}, err
	}
	key, err := keyring.NewSlotKey(kind, exported)
	o.must(err)
	return key, nil
}

// stranger is a paired device with a session of its own.
func (r *rig) stranger(n uint64) session.Peer {
	r.Helper()
	p := r.pair("stranger")
	p.Session, p.Exporter = n, bytes.Repeat([]byte{byte(n)}, 32)
	return p
}

// TestPasscodeOpensForItsOwnerOnly is steps 612 to 624 for a device that is paired and
// nothing else: it sees that there are data, and gets them with the passcode only.
func TestPasscodeOpensForItsOwnerOnly(t *testing.T) {
	r := newRig(t)
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	o.save(2)
	p := r.stranger(7)
	listed := r.vaults(p)[o.id]
	if listed.Mine || len(listed.Slots) != 1 || listed.Slots[0].Kind != keyring.SlotPasscode || listed.Slots[0].Data != nil {
		t.Fatalf("a stranger is told of %+v", listed)
	}
	refused := func() {
		t.Helper()
		_, err := r.d.ClaimVault(t.Context(), p, o.id)
		r.want(err, session.ErrNotAllowed)
		r.want(r.d.Get(t.Context(), p, session.BlobQuery{Vault: o.id}, nil), session.ErrNotAllowed)
		_, err = r.d.Snapshots(t.Context(), p, session.SnapshotQuery{Vault: o.id})
		r.want(err, session.ErrNotAllowed)
		_, err = r.d.ChangeSlots(t.Context(), p, session.SlotChange{Vault: o.id})
		r.want(err, session.ErrNotAllowed)
		_, err = r.d.Register(t.Context(), p, session.Entry{Vault: o.id, Kind: keyring.SlotPasscode}, nil)
		r.want(err, session.ErrNotAllowed)
	}
	refused()
	_, err := o.enter(p, keyring.SlotPasscode, "guess")
	r.want(err, session.ErrWrongPasscode)
	refused()
	r.pass(time.Minute)
	slot, err := o.enter(p, keyring.SlotPasscode, "secret")
	r.must(err)
	other := p
	other.Session = 8 // a session of the same device that has not entered it
	_, err = r.d.ClaimVault(t.Context(), other, o.id)
	r.want(err, session.ErrNotAllowed)
	slots, err := r.d.ClaimVault(t.Context(), p, o.id)
	r.must(err)
	if len(slots) != 1 || slots[0].Kind != keyring.SlotPasscode {
		t.Fatalf("slots %+v", slots)
	}
	got, err := slot.Open(o.id, slots[0].Data)
	r.must(err)
	if len(got.Keys) != 2 || !bytes.Equal(got.Keys[0], o.bundle.Keys[0]) {
		t.Error("the slot opens to other keys")
	}
	_, err = r.d.Snapshots(t.Context(), o.peer, session.SnapshotQuery{Vault: o.id})
	r.want(err, session.ErrNotAllowed) // the earlier device's no more
}

// TestLockOut counts wrong entries over sessions, devices and restarts of the daemon,
// also those that were never seen through, until not even the right one is taken; then
// the recovery code is.
func TestLockOut(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Passcode.Tries = 4
	r.restart()
	o := r.own("phone", 1)
	o.set(keyring.SlotRecovery, "CODE")
	o.set(keyring.SlotPasscode, "secret")
	for n := range 4 {
		r.restart()
		p := r.stranger(uint64(n + 1))
		_, err := o.enter(p, keyring.SlotPasscode, "guess")
		r.want(err, session.ErrWrongPasscode)
		if n < 3 {
			_, err = o.enter(p, keyring.SlotPasscode, "secret")
			r.want(err, session.ErrLockedOut) // too early
			var out *session.LockedOut
			if !errors.As(err, &out) || out.RetryAfter != time.Second<<n {
				t.Errorf("after %d: %v", n+1, err)
			}
		}
		r.pass(time.Hour)
	}
	p := r.stranger(99)
	_, err := o.enter(p, keyring.SlotPasscode, "secret")
	r.want(err, session.ErrLockedOut)
	if v := r.d.panel.View(); v.State != "alert" {
		t.Errorf("the display shows %+v", v)
	}
	_, err = o.enter(p, keyring.SlotRecovery, "EDOC")
	r.want(err, session.ErrWrongPasscode)
	slot, err := o.enter(p, keyring.SlotRecovery, "CODE")
	r.must(err)
	slots, err := r.d.ClaimVault(t.Context(), p, o.id)
	r.must(err)
	if _, err := slot.Open(o.id, slots[0].Data); err != nil {
		t.Error(err)
	}
	if v := r.d.panel.View(); v.State != "idle" {
		t.Errorf("the display shows %+v", v)
	}
	_, err = o.enter(p, keyring.SlotPasscode, "secret") // and the count starts anew
	r.must(err)
}

// TestAbandonedEntry counts entries whose device hung up before, or after, it was told.
func TestAbandonedEntry(t *testing.T) {
	r := newRig(t)
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	p := r.stranger(5)
	prover, err := keyring.NewProver("secret", []byte("x"), keyring.NoStretch)
	r.must(err)
	at := session.Entry{Vault: o.id, Kind: keyring.SlotPasscode}
	_, err = r.d.Unlock(t.Context(), p, at, prover.KE1())
	r.must(err)
	r.d.Disconnected(p, nil)
	r.wrongs(o.id, 1)
	r.pass(time.Hour)
	_, err = r.d.Unlock(t.Context(), p, at, []byte("no KE1"))
	r.want(err, session.ErrBadRequest)
	r.wrongs(o.id, 2)
	r.want(r.d.Prove(t.Context(), p, session.Entry{Vault: o.id, Kind: keyring.SlotRecovery}, nil), session.ErrBadRequest)
	_, err = r.d.Unlock(t.Context(), p, session.Entry{Vault: o.id, Kind: keyring.SlotReader}, prover.KE1())
	r.want(err, session.ErrNoVault)
	_, err = r.d.Unlock(t.Context(), p, session.Entry{Vault: vault.VaultID{77}, Kind: keyring.SlotPasscode}, prover.KE1())
	r.want(err, session.ErrNoVault)
	r.wrongs(o.id, 2)
	o.set(keyring.SlotPasscode, "another") // a new passcode has its own count
	r.wrongs(o.id, 0)
}

func (r *rig) wrongs(id vault.VaultID, want int) {
	r.Helper()
	c, err := r.d.attempts.Look(id)
	r.must(err)
	if c.Wrong != want {
		r.Fatalf("%d wrong ones are counted, want %d", c.Wrong, want)
	}
}

// TestWipe deletes the data after as many wrong passcodes as were allowed, here and on
// the card, also when the reader was switched off in between.
func TestWipe(t *testing.T) {
	for _, cut := range []bool{false, true} {
		r := newRig(t)
		r.d.cfg.Passcode.Tries, r.d.cfg.Passcode.WipeAfter = 5, 2
		r.restart()
		o, other := r.own("phone", 1), r.own2("tablet", 2)
		o.set(keyring.SlotPasscode, "secret")
		held, err := r.d.store.Get(o.id, vault.BlobID{1, 2})
		r.must(err)
		if raw, err := os.ReadFile(r.d.cfg.Card.Path); err != nil || !bytes.Contains(raw, held[2:26]) {
			t.Fatalf("the card does not hold it before: %v", err)
		}
		for n := range uint64(2) {
			r.pass(time.Hour)
			p := r.stranger(n + 1)
			if n == 1 && cut {
				prover, err := keyring.NewProver("guess", nil, keyring.NoStretch)
				r.must(err)
				_, err = r.d.Unlock(t.Context(), p, session.Entry{Vault: o.id, Kind: keyring.SlotPasscode}, prover.KE1())
				r.must(err)
				r.restart()
				r.must(r.d.recount(t.Context()))
				continue
			}
			_, err := o.enter(p, keyring.SlotPasscode, "guess")
			r.want(err, session.ErrWrongPasscode)
		}
		_, err = r.d.store.Vault(o.id)
		r.want(err, vault.ErrNoVault)
		raw, err := os.ReadFile(r.d.cfg.Card.Path)
		r.must(err)
		if bytes.Contains(raw, held[2:26]) {
			t.Fatal("the card holds what was to be deleted")
		}
		r.gone(held[2:26])
		if _, err := r.d.store.Vault(other); err != nil {
			t.Errorf("another device's data: %v", err)
		}
	}
}

// gone searches all files of the reader's.
func (r *rig) gone(secret []byte) {
	r.Helper()
	r.must(filepath.WalkDir(r.d.cfg.StateDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, secret) {
			r.Errorf("%s holds what was to be deleted", filepath.Base(path))
		}
		return err
	}))
}

// own2 is a second vault, which gets no card.
func (r *rig) own2(name string, n byte) vault.VaultID {
	r.Helper()
	p := r.pair(name)
	return r.create(p, n, keyring.SlotReader)
}

// TestChangeSlotsRefuses names what is no change.
func TestChangeSlotsRefuses(t *testing.T) {
	r := newRig(t)
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	good := o.change(nil).Slots[0]
	bad := func(change func(*session.NewSlot)) session.NewSlot {
		n := good
		change(&n)
		return n
	}
	for name, slots := range map[string][]session.NewSlot{
		"the reader's own kind":      {bad(func(n *session.NewSlot) { n.Kind = "passcode-check" })},
		"twice":                      {good, good},
		"another registration":       {bad(func(n *session.NewSlot) { n.Tag = session.ID{1} })},
		"no registration":            {bad(func(n *session.NewSlot) { n.Kind = keyring.SlotRecovery })},
		"a record out of the blue":   {bad(func(n *session.NewSlot) { n.Record = make([]byte, 192) })},
		"a slot that needs none too": {good, {Slot: session.Slot{Kind: keyring.SlotReader}}},
	} {
		_, err := r.d.ChangeSlots(t.Context(), o.peer, session.SlotChange{Vault: o.id, Slots: slots})
		if !errors.Is(err, session.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := r.d.ChangeSlots(t.Context(), o.peer, session.SlotChange{Vault: o.id, Slots: []session.NewSlot{good}, Wrap: bytes.Repeat([]byte{1}, 32)})
	r.want(err, session.ErrBadRequest) // the layer that is there is another's
	if _, err := o.enter(r.stranger(3), keyring.SlotPasscode, "secret"); err != nil {
		t.Errorf("the passcode after all that: %v", err)
	}
	err = r.d.CreateVault(t.Context(), o.peer, session.NewVault{ID: session.ID{5}, Slots: []session.Slot{{Kind: "passcode-check"}}})
	r.want(err, session.ErrBadRequest)
}

// thief is who has taken the reader and its card, and reads every byte.
type thief struct {
	*testing.T
	bytes []byte
}

func (r *rig) steal() thief {
	r.Helper()
	t := thief{T: r.T}
	dir := r.d.cfg.StateDir
	r.must(filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		t.bytes = append(t.bytes, raw...)
		return err
	}))
	raw, err := os.ReadFile(r.d.cfg.Card.Path)
	r.must(err)
	t.bytes = append(t.bytes, raw...)
	return t
}

// loot is a sealed blob that the thief would like to open.
type loot struct {
	id     vault.BlobID
	sealed []byte
}

// opens tries whatever stands anywhere as a vault key, as docs/formats.md says: on what
// that key has sealed itself, and on the layer around what an older one has.
func (t thief) opens(id vault.VaultID, all ...loot) bool {
	t.Helper()
	infos := map[byte]string{1: "reprovision vault v1 seal", 2: "reprovision vault v1 outer"}
	for i := 0; i+vault.KeySize <= len(t.bytes); i++ {
		at := t.bytes[i : i+vault.KeySize]
		if dull(at) {
			continue
		}
		for _, l := range all {
			sub, err := hkdf.Key(sha256.New, at, nil, infos[l.sealed[0]], vault.KeySize)
			if err != nil {
				t.Fatal(err)
			}
			aead, err := chacha20poly1305.NewX(sub)
			if err != nil {
				t.Fatal(err)
			}
			context := slices.Concat([]byte("RPVB"), l.sealed[:2], id[:], l.id[:])
			if _, err := aead.Open(nil, l.sealed[2:26], l.sealed[26:], context); err == nil {
				return true
			}
		}
	}
	return false
}

// dull tells bytes that no random key has: nearly all are alike.
func dull(b []byte) bool {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n < 12
}

// TestThief takes reader and card before and after the passcode is set. Before, the key
// lies there, and opens everything. After, no 32 bytes anywhere, free pages and the
// card's other version included, open a blob, old or new; and nothing is left of any
// blob as it was sealed by the key that lay there, so that a copy of that key, from
// wherever it may come, opens nothing either.
func TestThief(t *testing.T) {
	r := newRigWith(t, cardAt(filepath.Join(t.TempDir(), "card.img"), 24<<10))
	o := r.own("phone", 1)
	o.save(2)
	blob := vault.BlobID{1, 2}
	get := func(id vault.BlobID) loot {
		t.Helper()
		b, err := r.d.store.Get(o.id, id)
		r.must(err)
		return loot{id, b}
	}
	if !r.steal().opens(o.id, get(blob)) {
		t.Fatal("this thief would not find a key that is there")
	}
	old := o.key()
	before := o.sealed
	o.set(keyring.SlotPasscode, "a passcode that nobody guesses")
	o.save(3)
	th := r.steal()
	was, is := get(blob), get(vault.BlobID{3, 2})
	if was.sealed[0] != 2 || is.sealed[0] != 1 || th.opens(o.id, was, is) {
		t.Fatal("what the thief has opens a blob")
	}
	for _, l := range []loot{was, is} {
		if _, err := old.Open(vault.KindPack, o.id, l.id, l.sealed); err == nil {
			t.Errorf("the key that lay in the reader slot opens %s", l.id)
		}
		if _, err := o.key().Open(vault.KindPack, o.id, l.id, l.sealed); err != nil {
			t.Errorf("the owner: %v", err)
		}
	}
	for _, b := range before {
		if bytes.Contains(th.bytes, b[2:26]) {
			t.Error("a blob lies there as the old key sealed it")
		}
	}
	for _, secret := range [][]byte{old.Bytes(), o.bundle.Keys[0], o.bundle.Recipients[keyring.SlotPasscode][:32], []byte("canary"), []byte("a passcode")} {
		if bytes.Contains(th.bytes, secret) {
			t.Errorf("%q lies there", secret)
		}
	}
}

// TestThiefWhoGuesses states what a passcode that can be guessed is worth once the
// reader is stolen: nothing counts there, and each guess costs one Argon2id.
func TestThiefWhoGuesses(t *testing.T) {
	r := newRig(t)
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "123456")
	record, err := r.d.store.Vault(o.id)
	r.must(err)
	check := slot(record, keyring.SlotPasscode+checkSuffix).Data[16:]
	for n, guess := range []string{"111111", "password", "123456"} {
		v, err := keyring.LoadVerifier(check, nil)
		r.must(err)
		p, err := keyring.NewProver(guess, nil, keyring.NoStretch)
		r.must(err)
		ke2, err := v.Respond(p.KE1())
		r.must(err)
		_, exported, err := p.FinishWithKey(ke2)
		if right := n == 2; (err == nil) != right {
			t.Fatalf("guess %d: %v", n, err)
		}
		if err != nil {
			continue
		}
		key, err := keyring.NewSlotKey(keyring.SlotPasscode, exported)
		r.must(err)
		if _, err := key.Open(o.id, slot(record, keyring.SlotPasscode).Data); err != nil {
			t.Errorf("the slot: %v", err)
		}
	}
}

// TestCardIsRenewedLater pulls the card while the passcode is set. When it is put back,
// it is written anew, to the ends of both versions; also when that is cut short.
func TestCardIsRenewedLater(t *testing.T) {
	r := newRigWith(t, cardAt(filepath.Join(t.TempDir(), "card.img"), 16<<10))
	o := r.own("phone", 1)
	stale, err := os.ReadFile(r.d.cfg.Card.Path)
	r.must(err)
	o.set(keyring.SlotPasscode, "secret")
	r.must(os.WriteFile(r.d.cfg.Card.Path, stale, 0o600))
	if !bytes.Contains(stale, o.bundle.Keys[1]) {
		t.Fatal("the old card does not hold the old key")
	}
	r.d.mirror.sync(t.Context(), vault.VaultID{})
	raw, err := os.ReadFile(r.d.cfg.Card.Path)
	r.must(err)
	if bytes.Contains(raw, o.bundle.Keys[1]) || bytes.Contains(raw, o.sealed[0][2:26]) {
		t.Error("the card holds what it held")
	}
	if !r.d.mirror.holds(o.id) {
		t.Errorf("card %+v", r.d.mirror.stateFor(o.id))
	}
	for _, torn := range []int{0, 7, 1 << 20} {
		for at := 1; o.renewAt(at, torn); at++ {
			if at > 100 {
				t.Fatal("no end of writes")
			}
		}
	}
	for _, what := range []string{erased, voided} {
		if got, id := emptyFor(empty(what, o.id)); got != what || id != o.id {
			t.Errorf("%s is known as %q of %s", what, got, id)
		}
		for _, data := range [][]byte{empty(what, o.id)[1:], append(empty(what, o.id), 1), nil} {
			if got, _ := emptyFor(data); got != "" {
				t.Errorf("a card with something on it is taken for one with %s", got)
			}
		}
	}
}

// renewAt changes the passcode, and pulls the card at a write of what follows. It holds a whole
// version then, of before or of now. Once it is back, also at a reader that remembers nothing
// of it, it is up to date, and has nothing of the key slots from before.
func (o *owned) renewAt(at, torn int) (cut bool) {
	o.Helper()
	old, whole := o.replaced(), o.d.mirror.reader
	pulled := &cutting{Reader: whole, at: at, torn: torn}
	o.d.mirror.reader = pulled
	if state := o.insert(); pulled.cut {
		o.wantCard(state, session.CardNone)
	}
	o.d.mirror.reader = whole
	if p, err := o.d.mirror.read(o.Context(), o.id); err != nil || len(p.Blobs) == 0 {
		o.Errorf("cut at write %d: nothing on the card is whole: %v", at, err)
	}
	if at%2 == 0 {
		o.d.ledger.pages.Cards = make(map[string]cardMark)
	}
	o.wantCard(o.insert(), session.CardOK)
	p, err := o.d.mirror.read(o.Context(), o.id)
	o.must(err)
	if _, err := o.key().Open(vault.KindPack, o.id, p.Blobs[0].ID, p.Blobs[0].Sealed); err != nil {
		o.Errorf("cut at write %d: %v", at, err)
	}
	o.nothingOf(old, p.Record)
	return pulled.cut
}

// nothingOf checks that no 16 bytes of the key slots of an old record are on the card, but
// for those that the record there has, too.
func (o *owned) nothingOf(old, now vault.Record) {
	o.Helper()
	raw, err := os.ReadFile(o.d.cfg.Card.Path)
	o.must(err)
	held, err := now.MarshalBinary()
	o.must(err)
	for _, s := range old.Slots {
		for off := 0; off+16 <= len(s.Data); off++ {
			if piece := s.Data[off : off+16]; bytes.Contains(raw, piece) && !bytes.Contains(held, piece) {
				o.Fatalf("16 bytes of the %s slot from before are on the card", s.Kind)
			}
		}
	}
}

// TestChangeEndsWhatIsOpen changes the passcode while another device has entered the old
// one, or is about to prove it: neither is worth anything afterwards.
func TestChangeEndsWhatIsOpen(t *testing.T) {
	r := newRig(t)
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	opened, entering := r.stranger(7), r.stranger(8)
	_, err := o.enter(opened, keyring.SlotPasscode, "secret")
	r.must(err)
	at := session.Entry{Vault: o.id, Kind: keyring.SlotPasscode}
	id, err := r.d.keys.Identity()
	r.must(err)
	binding, err := keyring.UnlockBinding(entering.Exporter, entering.Key, id.Public(), o.id, at.Kind)
	r.must(err)
	prover, err := keyring.NewProver("secret", binding, keyring.NoStretch)
	r.must(err)
	ke2, err := r.d.Unlock(t.Context(), entering, at, prover.KE1())
	r.must(err)
	ke3, _, err := prover.FinishWithKey(ke2)
	r.must(err)

	o.set(keyring.SlotPasscode, "another")
	_, err = r.d.ClaimVault(t.Context(), opened, o.id)
	r.want(err, session.ErrNotAllowed)
	r.want(r.d.Prove(t.Context(), entering, at, ke3), session.ErrWrongPasscode)
	_, err = r.d.ClaimVault(t.Context(), entering, o.id)
	r.want(err, session.ErrNotAllowed)
	_, err = o.enter(opened, keyring.SlotPasscode, "another")
	r.must(err)
	_, err = r.d.ClaimVault(t.Context(), opened, o.id)
	r.must(err)
}

// TestWipedCardComesBack pulls the card before the data are deleted: when it is put in
// again nothing of them comes back, and what is on it goes, too.
func TestWipedCardComesBack(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Passcode.WipeAfter = 1
	r.restart()
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	path := r.d.cfg.Card.Path
	r.must(os.Rename(path, path+".away"))
	_, err := o.enter(r.stranger(3), keyring.SlotPasscode, "guess")
	r.want(err, session.ErrWrongPasscode)
	_, err = r.d.store.Vault(o.id)
	r.want(err, vault.ErrNoVault)
	r.restart()
	r.must(os.Rename(path+".away", path))
	held := o.sealed[0][2:26] // below the outer layer: not to be found; the slot is
	record, err := os.ReadFile(path)
	r.must(err)
	if !bytes.Contains(record, []byte(keyring.SlotPasscode)) || bytes.Contains(record, held) {
		t.Fatal("the card is not what this test is about")
	}
	r.wantCard(r.insert(), session.CardUnformatted)
	if got := r.vaults(r.stranger(4)); len(got) != 0 {
		t.Errorf("offered %+v", got)
	}
	after, err := os.ReadFile(path)
	r.must(err)
	if bytes.Contains(after, []byte(keyring.SlotPasscode)) {
		t.Error("the card has its slots still")
	}
}

// TestSavedAfterAWipe has the owner save again what was deleted: it stays, whatever is
// started anew, and the card of before is erased all the same.
func TestSavedAfterAWipe(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Passcode.WipeAfter = 1
	r.restart()
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	for n := byte(2); n < 5; n++ { // the old card is ahead of what is saved then
		o.save(n)
	}
	path := r.d.cfg.Card.Path
	r.must(os.Rename(path, path+".away"))
	_, err := o.enter(r.stranger(3), keyring.SlotPasscode, "guess")
	r.want(err, session.ErrWrongPasscode)
	_, err = r.d.store.Vault(o.id)
	r.want(err, vault.ErrNoVault)

	r.must(r.d.CreateVault(t.Context(), o.peer, session.NewVault{ID: o.id, Slots: []session.Slot{{Kind: keyring.SlotReader, Data: []byte("anew")}}}))
	r.initCard()
	o.save(5)
	before := r.vaults(o.peer)[o.id]
	r.restart()
	r.must(r.d.recount(t.Context()))
	r.wantCard(r.insert(), session.CardOK)
	r.must(os.Rename(path+".away", path))
	r.wantCard(r.insert(), session.CardUnformatted)
	raw, err := os.ReadFile(path)
	r.must(err)
	if bytes.Contains(raw, []byte(keyring.SlotPasscode)) {
		t.Error("the card of before has its slots still")
	}
	if got := r.vaults(o.peer)[o.id]; got.Head == nil || got.Head.ID != before.Head.ID || got.Snapshots != 1 {
		t.Errorf("what was saved again: %+v", got)
	}
	_, err = r.d.store.Get(o.id, vault.BlobID{5, 2})
	r.must(err)
}

// TestDamagedCountDeletesNothing damages the count: no more is taken, and nothing is lost.
func TestDamagedCountDeletesNothing(t *testing.T) {
	r := newRig(t)
	r.d.cfg.Passcode.WipeAfter = 3
	r.restart()
	o := r.own("phone", 1)
	o.set(keyring.SlotPasscode, "secret")
	_, err := o.enter(r.stranger(3), keyring.SlotPasscode, "guess")
	r.want(err, session.ErrWrongPasscode)
	cfg := r.d.cfg
	r.must(r.close())
	db, err := bbolt.Open(filepath.Join(cfg.StateDir, "attempts.db"), 0o600, &bbolt.Options{Timeout: 10 * time.Second})
	r.must(err)
	r.must(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("attempts"))
		value := bytes.Clone(b.Get(o.id[:]))
		value[len(value)-1] ^= 1
		return b.Put(o.id[:], value)
	}))
	r.must(db.Close())
	r.d, err = r.start(cfg)
	r.must(err)
	r.must(r.d.recount(t.Context()))
	_, err = o.enter(r.stranger(4), keyring.SlotPasscode, "secret")
	r.want(err, session.ErrLockedOut)
	if _, err := r.d.store.Vault(o.id); err != nil {
		t.Errorf("the data: %v", err)
	}
	r.wantCard(r.insert(), session.CardOK)
}
