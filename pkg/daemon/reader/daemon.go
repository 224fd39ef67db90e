package reader

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/start"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/keyring/attempts"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/pairing"
	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
	"github.com/reprovision/reprovision/pkg/vault/bolt"
)

// Daemon is the reader's reprovisioning service (reference sign 330).
type Daemon struct {
	cfg       config.Reader
	log       *slog.Logger
	now       func() time.Time
	free      func() (int64, error) // bytes that there is room for in the store
	keys      *keyring.Keyring
	pinning   sync.Mutex // held while a peer in keys is changed
	store     vaultStore
	records   sync.Mutex // held while a vault's record is changed
	attempts  *attempts.Ledger
	entries   *entries
	listener  link.Listener
	bluetooth *bluetooth // nil on a local link
	presence  *presence
	mirror    *mirror
	panel     *panel.Display
	screens   []runner // the displays and buttons that are devices
	activity  *activity
	pairing   *pairing.Reader
	plans     *plans
	server    *session.Server
	bus       *busapi.Reader
	uses      *uses
	ledger    *ledger
	untidy    chan struct{} // the store may have to be tidied
	run       session.ID    // tells devices one start of this daemon from another
}

// vaultStore keeps the vaults, can rotate their keys, and be healed from a card.
type vaultStore interface {
	vault.Store
	vault.Rotator
	vault.Healer
}

// New opens the reader's state and brings everything together. It starts
// nothing: Run does. The bus connection stays the caller's. env is the
// environment, which says where PC/SC is.
func New(cfg config.Reader, bus start.Bus, log *slog.Logger, now func() time.Time, env func(string) string) (*Daemon, error) {
	return newDaemon(cfg, bus, log, now, attempts.HostClock(), env)
}

func newDaemon(cfg config.Reader, bus start.Bus, log *slog.Logger, now func() time.Time, up attempts.Clock, env func(string) string) (*Daemon, error) {
	d := &Daemon{cfg: cfg, log: log, now: now, presence: newPresence(), uses: newUses(), untidy: make(chan struct{}, 1), entries: newEntries(), activity: newActivity()}
	if _, err := rand.Read(d.run[:]); err != nil {
		return nil, fmt.Errorf("cannot draw an id: %w", err)
	}
	d.free = func() (int64, error) { return freeSpace(cfg.StateDir) }
	var err error
	if d.ledger, err = openLedger(filepath.Join(cfg.StateDir, "upkeep.json")); err != nil {
		return nil, err
	}
	if d.keys, err = keyring.Open(filepath.Join(cfg.StateDir, "keyring")); err != nil {
		return nil, err
	}
	if d.store, err = bolt.Open(filepath.Join(cfg.StateDir, "vault.db"), bolt.Options{Log: log}); err != nil {
		return nil, err
	}
	if d.attempts, err = attempts.Open(filepath.Join(cfg.StateDir, "attempts.db"), policy(cfg.Passcode), up); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	if err := d.open(bus, env); err != nil {
		return nil, errors.Join(err, d.plans.close(), d.bluetooth.close(), d.attempts.Close(), d.store.Close())
	}
	return d, nil
}

func (d *Daemon) open(bus start.Bus, env func(string) string) error {
	d.bus = busapi.NewReader(bus.Conn, d, d.log)
	d.panel = panel.New()
	var err error
	if d.plans, err = openPlans(d.cfg.StateDir, d.now, d.log); err != nil {
		return err
	}
	d.mirror = d.newMirror()
	if d.mirror.reader, err = newCardReader(d.cfg.Card, env, d.mirror.notice, d.log); err != nil {
		return err
	}
	id, err := d.keys.Identity()
	if err != nil {
		return err
	}
	if d.pairing, err = d.newPairing(id); err != nil {
		return err
	}
	if err := d.openPanel(); err != nil {
		return err
	}
	d.server, err = session.NewServer(session.ServerConfig{
		Identity: id.Signer(), Peers: d, Provider: d, Pairing: d.pairing, Logger: d.log,
	})
	if err != nil {
		return err
	}
	return d.openLink(bus)
}

// Run serves until the context ends, then ends everything that it started.
func (d *Daemon) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.listener.Run(ctx) })
	group.Go(func() error { return d.server.Serve(ctx, d.listener.Accept) })
	group.Go(func() error { return d.mirror.run(ctx) })
	group.Go(func() error { return d.recount(ctx) })
	group.Go(func() error { return d.pairing.Run(ctx) })
	group.Go(func() error { return d.bus.Run(ctx) })
	group.Go(func() error { return d.tidier(ctx) })
	group.Go(func() error { return d.scrubber(ctx) })
	group.Go(func() error { return d.plans.alarm.Run(ctx) })
	group.Go(func() error { return d.watchOverdue(ctx) })
	group.Go(func() error { return d.watchActivity(ctx) })
	for _, s := range d.screens {
		group.Go(func() error { return s.Run(ctx) })
	}
	if d.bluetooth != nil {
		group.Go(func() error { return d.bluetooth.beacon(ctx, d.pairing.Until) })
	}
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, d.plans.end(), d.listener.Close(), d.bluetooth.close(), d.attempts.Close(), d.store.Close())
}

// event tells whoever listens on the bus.
func (d *Daemon) event(kind string, fields map[string]any) {
	d.bus.Emit(busapi.Event{Time: d.now().Format(time.RFC3339Nano), Side: "reader", Event: kind, Fields: fields})
}

func (d *Daemon) cardChanged(s session.CardState) {
	d.panel.SetCard(cardText(d.card().State))
	d.event("card", map[string]any{"state": s.Status.String(), "detail": s.Detail, "generation": int64(s.Generation)})
	d.presence.tellAll(session.Event{Kind: session.EventCard, Card: s})
	d.bus.Refresh()
}
