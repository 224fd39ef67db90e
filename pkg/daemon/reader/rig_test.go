package reader

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/start"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/bolt"
	"github.com/reprovision/reprovision/pkg/vault/vaulttest"
)

// rig is a whole daemon with its store, keyring and file card, on no bus and
// with no session: tests call what a session would.
type rig struct {
	*testing.T
	d     *Daemon
	clock time.Time
	ids   map[string]keyring.Identity // of the devices, by peer
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) { r.clock = r.clock.Add(d) }

// restart starts the daemon anew on its state, with the settings as they are now.
func (r *rig) restart() {
	r.Helper()
	r.must(r.close())
	cfg := r.d.cfg
	var err error
	r.d, err = r.start(cfg)
	r.must(err)
	r.d.mirror.sync(r.Context(), vault.VaultID{})
}

func (r *rig) close() error {
	return errors.Join(r.d.listener.Close(), r.d.attempts.Close(), r.d.store.Close())
}

func cardAt(path string, size int64) config.Card {
	return config.Card{Kind: "file", Path: path, Size: size}
}

func newRig(t *testing.T) *rig {
	return newRigWith(t, cardAt(filepath.Join(t.TempDir(), "card.img"), 64<<10))
}

func newRigWith(t *testing.T, card config.Card) *rig {
	t.Helper()
	cfg := config.DefaultReader()
	cfg.Name, cfg.StateDir, cfg.Card = "test", t.TempDir(), card
	cfg.Link.Kind, cfg.Link.Path = config.Local, filepath.Join(cfg.StateDir, "reader.sock")
	r := &rig{T: t, clock: time.Unix(1_700_000_000, 0)}
	var err error
	if r.d, err = r.start(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.must(r.close()) })
	return r
}

func (r *rig) start(cfg config.Reader) (*Daemon, error) {
	up := func() (string, time.Duration) { return "one", r.clock.Sub(time.Unix(1_600_000_000, 0)) }
	return newDaemon(cfg, start.Bus{}, slog.New(slog.DiscardHandler), func() time.Time { return r.clock }, up, func(string) string { return "" })
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(err, target error) {
	r.Helper()
	if !errors.Is(err, target) {
		r.Fatalf("got error %v, want %v", err, target)
	}
}

// pair pins a new device.
func (r *rig) pair(name string) session.Peer {
	r.Helper()
	keys, err := keyring.Open(filepath.Join(r.TempDir(), "keyring"))
	r.must(err)
	id, err := keys.Identity()
	r.must(err)
	return r.admit(id, name)
}

// admit pins a device.
func (r *rig) admit(id keyring.Identity, name string) session.Peer {
	r.Helper()
	p := keyring.NewPeer(id.Public(), name, "", r.d.now())
	r.must(r.d.keys.PutPeer(p))
	if r.ids == nil {
		r.ids = make(map[string]keyring.Identity)
	}
	r.ids[p.ID] = id
	return session.Peer{ID: p.ID, Key: id.Public(), Session: 1}
}

// vouch puts the device's voucher to a commit.
func (r *rig) vouch(p session.Peer, c *session.Commit) {
	r.Helper()
	id, known := r.ids[p.ID]
	if !known {
		return
	}
	var err error
	c.Voucher, err = authorization.Head{
		Vault: c.Vault, Snapshot: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Critical: c.Critical,
	}.Vouch(id)
	r.must(err)
}

// create makes a vault of a device's, with slots of those kinds.
func (r *rig) create(p session.Peer, n byte, slots ...string) vault.VaultID {
	r.Helper()
	v := session.NewVault{ID: vaulttest.Record(n).ID}
	for _, kind := range slots {
		v.Slots = append(v.Slots, session.Slot{Kind: kind, Data: []byte("wrapped for " + kind)})
	}
	r.must(r.d.CreateVault(r.Context(), p, v))
	return v.ID
}

// blob makes a sealed blob, a different one for each number.
func blob(n byte, size int) session.Blob {
	return session.Blob{ID: session.ID{n, 2}, Data: bytes.Repeat([]byte{n}, vault.SealOverhead+size)}
}

// sequence gives the blobs, and err at the end where there is one.
func sequence(err error, blobs ...session.Blob) iter.Seq2[session.Blob, error] {
	return func(yield func(session.Blob, error) bool) {
		for _, b := range blobs {
			if !yield(b, nil) {
				return
			}
		}
		if err != nil {
			yield(session.Blob{}, err)
		}
	}
}

// next is the commit that adds blobs to a vault; all of its blobs are critical.
func (r *rig) next(id vault.VaultID, blobs ...session.Blob) session.Commit {
	r.Helper()
	list, err := r.d.snapshots(id)
	r.must(err)
	c := session.Commit{Vault: id, Seq: 1}
	if len(list) > 0 {
		c.Parent, c.Seq = list[0].Snapshot, list[0].Seq+1
		for _, b := range list[0].Blobs {
			c.Critical = append(c.Critical, b)
		}
	}
	for _, b := range blobs {
		c.Add, c.Critical = append(c.Add, b.ID), append(c.Critical, b.ID)
	}
	made := vaulttest.Commit(id, c.Parent, c.Seq, nil, nil)
	c.Snapshot, c.Header = made.Snapshot, made.Header
	c.Header[0] = 1 // no outer layer
	return c
}

// backUp stores blobs and commits them.
func (r *rig) backUp(p session.Peer, id vault.VaultID, blobs ...session.Blob) session.CardState {
	r.Helper()
	stored, err := r.d.Put(r.Context(), p, id, sequence(nil, blobs...))
	r.must(err)
	if stored != len(blobs) {
		r.Fatalf("%d blobs stored, %d sent", stored, len(blobs))
	}
	c := r.next(id, blobs...)
	r.vouch(p, &c)
	state, err := r.d.Commit(r.Context(), p, c)
	r.must(err)
	return state
}

// damage changes the last byte of a vault's record and of its copy, or, with a bucket, of the
// last value in that, behind the store's back.
func (r *rig) damage(id vault.VaultID, bucket string) {
	r.Helper()
	if bucket == "" {
		r.change(id, "", []byte("record2"))
		r.change(id, "", []byte("record"))
		return
	}
	r.change(id, bucket, nil)
}

// change is damage to the value of a key; nil for the last one.
func (r *rig) change(id vault.VaultID, bucket string, key []byte) {
	r.Helper()
	path := filepath.Join(r.d.cfg.StateDir, "vault.db")
	r.must(r.d.store.Close())
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 10 * time.Second})
	r.must(err)
	r.must(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("vaults")).Bucket(id[:])
		switch {
		case bucket == "":
		case key == nil:
			b = b.Bucket([]byte(bucket))
			key, _ = b.Cursor().Last()
		default:
			b = b.Bucket([]byte(bucket))
		}
		value := bytes.Clone(b.Get(key))
		value[len(value)-1] ^= 1
		return b.Put(bytes.Clone(key), value)
	}))
	r.must(db.Close())
	store, err := bolt.Open(path, bolt.Options{})
	r.must(err)
	r.d.store, r.d.mirror.store = store, store
}

// vaults is what a device is told of.
func (r *rig) vaults(p session.Peer) map[vault.VaultID]session.Vault {
	r.Helper()
	list, err := r.d.Vaults(r.Context(), p)
	r.must(err)
	out := make(map[vault.VaultID]session.Vault)
	for _, v := range list {
		out[v.ID] = v
	}
	return out
}

// onCard is the newest whole snapshot that the card holds.
func (r *rig) onCard(id vault.VaultID) vault.SnapshotRecord {
	r.Helper()
	p, err := r.d.mirror.read(context.Background(), id)
	r.must(err)
	return p.Snapshot
}
