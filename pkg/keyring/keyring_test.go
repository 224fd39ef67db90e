package keyring_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/keyring"
)

func open(t *testing.T) (*keyring.Keyring, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	k, err := keyring.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k, dir
}

func newKey(t *testing.T) ed25519.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func TestIdentityIsMadeOnce(t *testing.T) {
	k, dir := open(t)
	var ids [8]keyring.Identity
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			id, err := k.Identity()
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	wg.Wait()
	again, err := keyring.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	last, err := again.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if id.ID() != last.ID() || !id.Public().Equal(last.Public()) {
			t.Fatalf("identities differ: %s and %s", id.ID(), last.ID())
		}
	}
	if !last.Signer().Public().(ed25519.PublicKey).Equal(last.Public()) {
		t.Error("the signer is somebody else")
	}
}

func TestPeerID(t *testing.T) {
	pub := newKey(t)
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	if got, want := keyring.PeerID(pub), hex.EncodeToString(sum[:16]); got != want {
		t.Errorf("PeerID = %s; want %s", got, want)
	}
	if keyring.SPKI(nil) != nil || keyring.SPKI(make([]byte, 31)) != nil {
		t.Error("SPKI of no key")
	}
}

func TestFilesArePrivate(t *testing.T) {
	k, dir := open(t)
	if _, err := k.Identity(); err != nil {
		t.Fatal(err)
	}
	if err := k.PutPeer(keyring.NewPeer(newKey(t), "phone", "", time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := k.SetVaultKey(keyring.VaultKey{Vault: [16]byte{1}, Bundle: keyring.Bundle{Keys: [][]byte{make([]byte, 32)}}}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d files, %v; want 3", len(entries), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
}

// TestRefusesWhatOthersCanRead loosens each file's mode in turn.
func TestRefusesWhatOthersCanRead(t *testing.T) {
	k, dir := open(t)
	uses := map[string]func() error{
		"identity.pem":   func() error { _, err := k.Identity(); return err },
		"peers.json":     func() error { _, err := k.Peers(); return err },
		"vault-key.json": func() error { _, err := k.VaultKey(); return err },
	}
	if err := k.PutPeer(keyring.NewPeer(newKey(t), "phone", "", time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := k.SetVaultKey(keyring.VaultKey{Vault: [16]byte{1}, Bundle: keyring.Bundle{Keys: [][]byte{make([]byte, 32)}}}); err != nil {
		t.Fatal(err)
	}
	for name, use := range uses {
		if err := use(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
			if err := use(); !errors.Is(err, keyring.ErrPermissions) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s with mode %#o: %v; want ErrPermissions", name, mode, err)
			}
		}
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(dir); !errors.Is(err, keyring.ErrPermissions) {
		t.Errorf("Open: %v; want ErrPermissions", err)
	}
}

// TestCorruptFilesStay requires that what cannot be read is refused and left.
func TestCorruptFilesStay(t *testing.T) {
	other, _ := open(t)
	if _, err := other.Identity(); err != nil {
		t.Fatal(err)
	}
	uses := map[string]func(k *keyring.Keyring) error{
		"identity.pem": func(k *keyring.Keyring) error { _, err := k.Identity(); return err },
		"peers.json": func(k *keyring.Keyring) error {
			return k.PutPeer(keyring.NewPeer(newKey(t), "phone", "", time.Now()))
		},
		"vault-key.json": func(k *keyring.Keyring) error { _, err := k.VaultKey(); return err },
	}
	for name, use := range uses {
		for _, data := range []string{
			"", "{}", "null", "[]", `{"version":2,"peers":[]}`, `{"version":1,"peers":[],"more":1}`, `{"version":1,"peers":[]} x`,
			`{"version":1,"peers":[{"id":"x"}]}`, `{"version":1,"vault":"AA==","key":"AA=="}`,
			"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", strings.Repeat(" ", 300<<10),
		} {
			k, dir := open(t)
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := use(k); !errors.Is(err, keyring.ErrCorrupt) {
				t.Errorf("%s with %.40q: %v; want ErrCorrupt", name, data, err)
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != data {
				t.Errorf("%s with %.40q was changed", name, data)
			}
		}
	}
}

func TestRefusesLinksAndPipes(t *testing.T) {
	k, dir := open(t)
	if err := os.WriteFile(filepath.Join(dir, "elsewhere"), []byte(`{"version":1,"peers":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "peers.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Peers(); err == nil {
		t.Error("a symlink was followed")
	}
	if err := os.Mkdir(filepath.Join(dir, "vault-key.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := k.VaultKey(); !errors.Is(err, keyring.ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
}

func TestPeers(t *testing.T) {
	k, dir := open(t)
	if peers, err := k.Peers(); err != nil || len(peers) != 0 {
		t.Fatalf("new keyring has %v, %v", peers, err)
	}
	paired := time.Date(2026, 10, 1, 12, 0, 0, 999, time.FixedZone("CEST", 7200))
	a := keyring.NewPeer(newKey(t), "Robin's phone", "", paired)
	b := keyring.NewPeer(newKey(t), "reader", "00:1A:7D:DA:71:0F", paired)
	for _, p := range []keyring.Peer{a, b} {
		if err := k.PutPeer(p); err != nil {
			t.Fatal(err)
		}
	}
	again, err := keyring.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Peers()
	if diff := cmp.Diff([]keyring.Peer{a, b}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	a.Name = "new name"
	if err := k.PutPeer(a); err != nil {
		t.Fatal(err)
	}
	if p, err := again.Peer(a.ID); err != nil || p.Name != "new name" {
		t.Errorf("after pairing anew: %v, %v", p, err)
	}
	if err := k.RemovePeer(b.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Peer(b.ID); !errors.Is(err, keyring.ErrNoPeer) {
		t.Errorf("removed peer: %v", err)
	}
	if err := k.RemovePeer(b.ID); !errors.Is(err, keyring.ErrNoPeer) {
		t.Errorf("second removal: %v", err)
	}
}

func TestPutPeerRefuses(t *testing.T) {
	k, _ := open(t)
	good := keyring.NewPeer(newKey(t), "phone", "", time.Now())
	bad := map[string]func(p *keyring.Peer){
		"foreign id": func(p *keyring.Peer) { p.ID = strings.Repeat("0", 32) },
		"no key":     func(p *keyring.Peer) { p.PublicKey = nil },
		"long name":  func(p *keyring.Peer) { p.Name = strings.Repeat("x", 65) },
		"control":    func(p *keyring.Peer) { p.Name = "a\x1b[2J" },
	}
	for name, spoil := range bad {
		p := good
		spoil(&p)
		if err := k.PutPeer(p); !errors.Is(err, keyring.ErrBadPeer) {
			t.Errorf("%s: %v; want ErrBadPeer", name, err)
		}
	}
	if peers, _ := k.Peers(); len(peers) != 0 {
		t.Errorf("%d bad peers were stored", len(peers))
	}
}

func TestNewPeerTamesItsName(t *testing.T) {
	p := keyring.NewPeer(newKey(t), "\x1b]0;owned\x07"+strings.Repeat("é", 64), "", time.Now())
	k, _ := open(t)
	if err := k.PutPeer(p); err != nil {
		t.Errorf("cannot store %q: %v", p.Name, err)
	}
}

func TestTooManyPeers(t *testing.T) {
	k, _ := open(t)
	var first keyring.Peer
	for i := range keyring.MaxPeers {
		p := keyring.NewPeer(newKey(t), fmt.Sprint(i), "", time.Now())
		if i == 0 {
			first = p
		}
		if err := k.PutPeer(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.PutPeer(keyring.NewPeer(newKey(t), "one more", "", time.Now())); !errors.Is(err, keyring.ErrTooManyPeers) {
		t.Errorf("got %v; want ErrTooManyPeers", err)
	}
	if err := k.PutPeer(first); err != nil {
		t.Errorf("a known peer cannot pair anew: %v", err)
	}
}

// TestConcurrentPeers requires that no update is lost.
func TestConcurrentPeers(t *testing.T) {
	_, dir := open(t)
	var wg sync.WaitGroup
	for range 16 {
		p := keyring.NewPeer(newKey(t), "phone", "", time.Now())
		wg.Go(func() {
			k, err := keyring.Open(dir)
			if err == nil {
				err = k.PutPeer(p)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k, err := keyring.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if peers, err := k.Peers(); err != nil || len(peers) != 16 {
		t.Errorf("%d peers, %v; want 16", len(peers), err)
	}
}

func TestVaultKey(t *testing.T) {
	k, dir := open(t)
	if _, err := k.VaultKey(); !errors.Is(err, keyring.ErrNoVaultKey) {
		t.Fatalf("empty slot: %v", err)
	}
	if err := k.ClearVaultKey(); err != nil {
		t.Errorf("clearing an empty slot: %v", err)
	}
	slot, err := keyring.NewSlotKey(keyring.SlotPasscode, bytes.Repeat([]byte{3}, 64))
	if err != nil {
		t.Fatal(err)
	}
	bundle := keyring.Bundle{
		Keys:       [][]byte{bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)},
		Recipients: map[string][]byte{keyring.SlotPasscode: slot.Recipient()},
	}
	next := keyring.Bundle{Keys: [][]byte{bytes.Repeat([]byte{9}, 32)}, Recipients: map[string][]byte{}}
	for _, want := range []keyring.VaultKey{
		{Vault: [16]byte{1, 2, 3}, Bundle: bundle, Protected: true, Next: &next},
		{Vault: [16]byte{4}, Bundle: next},
	} {
		if err := k.SetVaultKey(want); err != nil {
			t.Fatal(err)
		}
		if got, err := k.VaultKey(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if bundle.Keys[0][0] != 7 {
		t.Error("SetVaultKey changed the caller's key")
	}
	for _, bad := range []keyring.Bundle{
		{}, {Keys: [][]byte{make([]byte, 31)}}, {Keys: make([][]byte, keyring.MaxKeys+1)},
		{Keys: next.Keys, Recipients: map[string][]byte{"passcode": {1}}},
	} {
		if err := k.SetVaultKey(keyring.VaultKey{Bundle: bad}); !errors.Is(err, keyring.ErrBundle) {
			t.Errorf("stored: %v", err)
		}
	}
	if err := k.ClearVaultKey(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.VaultKey(); !errors.Is(err, keyring.ErrNoVaultKey) {
		t.Errorf("after clearing: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files are left", len(entries))
	}
}

// TestVaultKeyOfVersion1 reads what was written before there were slots.
func TestVaultKeyOfVersion1(t *testing.T) {
	k, dir := open(t)
	old := `{"version":1,"vault":"AQAAAAAAAAAAAAAAAAAAAA==","key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}`
	if err := os.WriteFile(filepath.Join(dir, "vault-key.json"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := k.VaultKey()
	if err != nil || v.Vault != [16]byte{1} || len(v.Keys) != 1 || v.Keys[0][31] != 7 || v.Protected || v.Next != nil {
		t.Errorf("%v, %v", v, err)
	}
}

func TestOpenRefusesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(path); err == nil {
		t.Error("a file was opened as a keyring")
	}
}
