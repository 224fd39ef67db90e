package device

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/reader"
	"github.com/reprovision/reprovision/pkg/daemon/start"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// rig is a device and a reader with their state, keyrings and a session between them,
// on no bus. What the reader answers can be tampered with.
type rig struct {
	*testing.T
	d       *Daemon
	reader  *tampered
	session *session.Session
	dial    func() *session.Session
	dir     string
	classes []string
	line    func(net.Conn) net.Conn // what lies between the two, from the device's end; nil for nothing
	newest  session.Snapshot        // where a test needs it
}

// tampered is a reader that may lie, or whose answers may get lost.
type tampered struct {
	*reader.Daemon
	vaults func([]session.Vault) []session.Vault
	slots  func(session.SlotChange, func() (session.CardState, error)) (session.CardState, error)
	attest func(func() (session.Attestation, error)) (session.Attestation, error)
	pin    func() ([]byte, error)
	get    func(session.BlobQuery) error // refuses
	list   func([]session.Snapshot) []session.Snapshot
	blobs  func(q session.BlobQuery, send func(session.Blob) error) error // sends
	done   func()                                                         // is called when a commit has been made, before its answer
}

func (t *tampered) Commit(ctx context.Context, p session.Peer, c session.Commit) (session.CardState, error) {
	state, err := t.Daemon.Commit(context.WithoutCancel(ctx), p, c)
	if t.done != nil {
		t.done()
	}
	return state, err
}

func (t *tampered) Snapshots(ctx context.Context, p session.Peer, q session.SnapshotQuery) ([]session.Snapshot, error) {
	list, err := t.Daemon.Snapshots(ctx, p, q)
	if t.list != nil && err == nil {
		list = t.list(list)
	}
	return list, err
}

func (t *tampered) Get(ctx context.Context, p session.Peer, q session.BlobQuery, send func(session.Blob) error) error {
	if t.blobs != nil {
		return t.blobs(q, send)
	}
	if t.get != nil {
		if err := t.get(q); err != nil {
			return err
		}
	}
	return t.Daemon.Get(ctx, p, q, send)
}

func (t *tampered) Attest(ctx context.Context, p session.Peer, id session.ID, challenge []byte) (session.Attestation, error) {
	do := func() (session.Attestation, error) { return t.Daemon.Attest(ctx, p, id, challenge) }
	if t.attest != nil {
		return t.attest(do)
	}
	return do()
}

func (t *tampered) Authorize(ctx context.Context, p session.Peer, id session.ID, record []byte) (session.CardState, error) {
	if t.attest != nil { // no card is there that could take it
		return session.CardState{}, nil
	}
	return t.Daemon.Authorize(ctx, p, id, record)
}

func (t *tampered) VerifyPIN(ctx context.Context, p session.Peer, id session.ID, pin []byte) ([]byte, error) {
	if t.pin != nil {
		return t.pin()
	}
	return t.Daemon.VerifyPIN(ctx, p, id, pin)
}

func (t *tampered) Vaults(ctx context.Context, p session.Peer) ([]session.Vault, error) {
	list, err := t.Daemon.Vaults(ctx, p)
	if t.vaults != nil {
		list = t.vaults(list)
	}
	return list, err
}

func (t *tampered) ChangeSlots(ctx context.Context, p session.Peer, c session.SlotChange) (session.CardState, error) {
	do := func() (session.CardState, error) { return t.Daemon.ChangeSlots(ctx, p, c) }
	if t.slots != nil {
		return t.slots(c, do)
	}
	return do()
}

// deaf is a bus on which nobody listens.
type deaf struct{}

func (deaf) Read([]byte) (int, error)    { select {} }
func (deaf) Write(b []byte) (int, error) { return len(b), nil }
func (deaf) Close() error                { return nil }

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, "keys")
}

// newRigOf is newRig, where the device has a root for each of those classes.
func newRigOf(t *testing.T, classes ...string) *rig {
	t.Helper()
	r := &rig{T: t, classes: classes}
	dir := t.TempDir()
	r.dir = dir
	cfg := config.DefaultReader()
	cfg.Name, cfg.StateDir, cfg.Card = "reader", filepath.Join(dir, "reader"), config.Card{Kind: "file", Path: filepath.Join(dir, "card.img"), Size: 64 << 10}
	cfg.Link.Kind, cfg.Link.Path = config.Local, filepath.Join(dir, "reader.sock")
	quiet := slog.New(slog.DiscardHandler)
	served, err := reader.New(cfg, start.Bus{}, quiet, time.Now, func(string) string { return "" })
	r.must(err)
	r.reader = &tampered{Daemon: served}
	r.d = r.newDevice(filepath.Join(dir, "device"), filepath.Join(dir, "phone"))
	r.pair(cfg.StateDir)
	return r
}

func (r *rig) newDevice(state, phone string) *Daemon {
	r.Helper()
	cfg := config.DefaultDevice()
	cfg.Name, cfg.StateDir, cfg.Detect.Watch = "phone", state, "off"
	cfg.Link.Kind, cfg.Link.Path = config.Local, filepath.Join(state, "..", "reader.sock")
	for _, name := range r.classes {
		cfg.Roots = append(cfg.Roots, config.Root{Name: name, Path: filepath.Join(phone, name), Class: name})
		r.must(os.MkdirAll(filepath.Join(phone, name), 0o700))
	}
	conn, err := dbus.NewConn(deaf{})
	r.must(err)
	d, err := New(cfg, start.Bus{Conn: conn}, slog.New(slog.DiscardHandler), time.Now)
	r.must(err)
	r.Cleanup(func() { r.must(errors.Join(d.auto.close(), d.state.close())) })
	return d
}

// pair pins both to each other and opens a session.
func (r *rig) pair(readerState string) {
	r.Helper()
	theirs, err := keyring.Open(filepath.Join(readerState, "keyring"))
	r.must(err)
	readerID, err := theirs.Identity()
	r.must(err)
	id, err := r.d.keys.Identity()
	r.must(err)
	r.must(theirs.PutPeer(keyring.NewPeer(id.Public(), "phone", "", time.Now())))
	r.must(r.d.keys.PutPeer(keyring.NewPeer(readerID.Public(), "reader", "00:11:22:33:44:55", time.Now())))
	server, err := session.NewServer(session.ServerConfig{
		Identity: readerID.Signer(), Peers: r.reader, Provider: r.reader, Pairing: noPairing{}, Logger: r.d.log,
	})
	r.must(err)
	conns := make(chan net.Conn)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ctx, func(ctx context.Context) (net.Conn, error) {
			select {
			case c := <-conns:
				return c, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
	}()
	r.dial = func() *session.Session {
		ours, other := net.Pipe()
		conns <- other
		if r.line != nil {
			ours = r.line(ours)
		}
		s, err := session.Dial(ctx, ours, session.DialConfig{Identity: id.Signer(), Pin: readerID.Public()})
		r.must(err)
		r.d.keeper.set(s, session.Hello{}, false)
		return s
	}
	r.session = r.dial()
	r.Cleanup(func() {
		_ = r.session.Close()
		cancel()
		<-served
	})
}

type noPairing struct{ session.PairingProvider }

func (noPairing) Open() bool { return false }

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// replace puts another device, which has nothing, in the place of the rig's.
func (r *rig) replace() {
	r.Helper()
	_ = r.session.Close()
	r.d = r.newDevice(filepath.Join(r.dir, "device2"), filepath.Join(r.dir, "phone2"))
	r.pair(filepath.Join(r.dir, "reader"))
}

// write puts a file into the device's user-data space.
func (r *rig) write(name, contents string) {
	r.Helper()
	r.must(os.WriteFile(filepath.Join(r.d.cfg.Roots[0].Path, name), []byte(contents), 0o600))
}

func (r *rig) backUp() busapi.BackupResult {
	r.Helper()
	got, err := r.d.Backup(r.Context(), false)
	r.must(err)
	return got
}

var _ io.ReadWriteCloser = deaf{}
