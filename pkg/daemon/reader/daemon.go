package reader

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/local"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/bolt"
)

// Daemon is the reader's reprovisioning service (reference sign 330).
type Daemon struct {
	cfg      config.Reader
	log      *slog.Logger
	now      func() time.Time
	keys     *keyring.Keyring
	pinning  sync.Mutex // held while a peer in keys is changed
	store    vault.Store
	listener link.Listener
	presence *presence
	mirror   *mirror
	panel    *panel.Display
	pairing  *pairing.Reader
	server   *session.Server
	bus      *busapi.Reader
}

// New opens the reader's state and brings everything together. It starts
// nothing: Run does. The bus connection stays the caller's. env is the
// environment, which says where PC/SC is.
func New(cfg config.Reader, conn *dbus.Conn, log *slog.Logger, now func() time.Time, env func(string) string) (*Daemon, error) {
	d := &Daemon{cfg: cfg, log: log, now: now, presence: newPresence()}
	var err error
	if d.keys, err = keyring.Open(filepath.Join(cfg.StateDir, "keyring")); err != nil {
		return nil, err
	}
	if d.store, err = bolt.Open(filepath.Join(cfg.StateDir, "vault.db"), bolt.Options{}); err != nil {
		return nil, err
	}
	if err := d.open(conn, env); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	return d, nil
}

func (d *Daemon) open(conn *dbus.Conn, env func(string) string) error {
	d.bus = busapi.NewReader(conn, d, d.log)
	d.panel = panel.New()
	d.mirror = newMirror(d.store, d.log, d.cardChanged)
	d.mirror.reader = newCardReader(d.cfg.Card, env, d.mirror.notice, d.log)
	address, err := d.address()
	if err != nil {
		return err
	}
	id, err := d.keys.Identity()
	if err != nil {
		return err
	}
	if d.pairing, err = d.newPairing(id, address); err != nil {
		return err
	}
	d.server, err = session.NewServer(session.ServerConfig{
		Identity: id.Signer(), Peers: d, Provider: d, Pairing: d.pairing, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.listener, err = local.Listen(local.Config{Path: d.cfg.Link.Path, Address: address, Logger: d.log})
	return err
}

// address is the 48-bit address that the display shows at step 412. On a link
// without addresses of its own it is made up once, as IEEE 802 says for
// locally administered ones.
func (d *Daemon) address() (link.Address, error) {
	file := filepath.Join(d.cfg.StateDir, "address")
	raw, err := os.ReadFile(file)
	if err == nil {
		a, perr := link.ParseAddress(string(raw))
		if perr != nil {
			return a, fmt.Errorf("cannot read the address in %s: %w", file, perr)
		}
		return a, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return link.Address{}, fmt.Errorf("cannot read the address: %w", err)
	}
	var a link.Address
	rand.Read(a[:]) // never fails: crypto/rand
	a[0] = a[0]&^1 | 2
	if err := renameio.WriteFile(file, []byte(a.String()), 0o600); err != nil {
		return a, fmt.Errorf("cannot keep the address: %w", err)
	}
	return a, nil
}

// Run serves until the context ends, then ends everything that it started.
func (d *Daemon) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.listener.Run(ctx) })
	group.Go(func() error { return d.server.Serve(ctx, d.listener.Accept) })
	group.Go(func() error { return d.mirror.run(ctx) })
	group.Go(func() error { return d.pairing.Run(ctx) })
	group.Go(func() error { return d.bus.Run(ctx) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, d.listener.Close(), d.store.Close())
}

// event tells whoever listens on the bus.
func (d *Daemon) event(kind string, fields map[string]any) {
	d.bus.Emit(busapi.Event{Time: d.now().Format(time.RFC3339Nano), Side: "reader", Event: kind, Fields: fields})
}

func (d *Daemon) cardChanged(s session.CardState) {
	d.event("card", map[string]any{"state": s.Status.String(), "detail": s.Detail, "generation": int64(s.Generation)})
	d.presence.tellAll(session.Event{Kind: session.EventCard, Card: s})
	d.bus.Refresh()
}
