package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sync/errgroup"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/start"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
)

// Daemon is the device's reprovisioning service (reference sign 248).
type Daemon struct {
	cfg        config.Device
	log        *slog.Logger
	now        func() time.Time
	space      userdata.Space
	state      *state
	keys       *keyring.Keyring
	book       *book
	scanner    scanner
	watcher    *watch.Watcher // nil when watching is off
	bluetooth  *bluetooth     // nil on a local link
	keeper     *keeper
	auto       *auto
	guard      *guard
	ops        *operations
	backups    chan struct{} // holds a token while a backup is made
	pairings   chan struct{} // holds a token while a pairing is under way
	proofs     chan struct{} // holds a token while the card is asked for a proof
	wishes     *wishes
	asks       chan []detect.Finding // damage that waits for the owner's word
	interviews interviews
	findings   *findings
	thrift     thrift
	hands      *hands
	gauge      *gauge
	unsent     unsent
	menders    sync.WaitGroup // restores that the watchman has begun and does not wait for
	damage     readerDamage
	familiar   familiar
	strangers  strangers
	asking     chan struct{} // holds a token while the reader is asked for the device's vaults
	heals      chan struct{} // the reader has damaged blobs
	settleAt   time.Time     // when the watchman may try to end a rotation again
	drills     chan struct{} // a restore drill may be possible
	quarantine reprovision.Quarantine
	conn       *dbus.Conn // the caller's
	bus        *busapi.Device
}

// scanner is what looks at the user-data space: a scan.Scanner.
type scanner interface {
	Scan(ctx context.Context, cache scan.Cache, opts scan.Options) (scan.Result, error)
	ScanNames(ctx context.Context, names []userdata.Name, cache scan.Cache, opts scan.Options) (scan.Result, error)
	Refresh(ctx context.Context, before scan.Result, names []userdata.Name, opts scan.Options) (scan.Result, error)
	Writing(n userdata.Name, at scan.Observation) bool
	Open(n userdata.Name) (*os.File, error)
}

// New opens the device's state and brings everything together. It starts
// nothing: Run does. The bus connection stays the caller's.
func New(cfg config.Device, bus start.Bus, log *slog.Logger, now func() time.Time) (*Daemon, error) {
	space, err := cfg.Space()
	if err != nil {
		return nil, fmt.Errorf("cannot use the roots: %w", err)
	}
	st, err := openState(cfg.StateDir, now(), log)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		cfg: cfg, log: log, now: now, space: space, state: st,
		scanner: scan.New(space, now, detect.Examiner()), wishes: newWishes(), asks: make(chan []detect.Finding, 1),
		backups: make(chan struct{}, 1), pairings: make(chan struct{}, 1), proofs: make(chan struct{}, 1), asking: make(chan struct{}, 1),
		findings: newFindings(), interviews: newInterviews(), heals: make(chan struct{}, 1), drills: make(chan struct{}, 1),
		quarantine: reprovision.Quarantine{
			Dir: filepath.Join(cfg.StateDir, "quarantine"), Max: cfg.Reprovision.QuarantineMax,
			Keep: cfg.Reprovision.QuarantineKeep.Duration, Now: now,
		},
	}
	d.hands = newHands(func() { d.request(look{why: "left to another restore"}) })
	if err := d.open(bus); err != nil {
		return nil, errors.Join(err, d.bluetooth.close(), d.auto.close(), d.guard.close(), st.close())
	}
	return d, nil
}

func (d *Daemon) open(bus start.Bus) error {
	var err error
	if d.keys, err = keyring.Open(filepath.Join(d.cfg.StateDir, "keyring")); err != nil {
		return err
	}
	if err := d.openBook(); err != nil {
		return err
	}
	d.dropOldPacks()
	if d.cfg.Detect.Watch != "off" {
		if d.watcher, err = watch.New(d.space, watch.Config{Backend: watch.Backend(d.cfg.Detect.Watch)}, d.log); err != nil {
			return err
		}
	}
	dialer, err := d.openLink(bus)
	if err != nil {
		return err
	}
	if d.auto, err = newAuto(d.cfg.Backup, d.state, d.now, d.log); err != nil {
		return err
	}
	d.auto.asked = d.interviews.kick
	d.keeper = newKeeper(d.keys, dialer, d.cfg, d.urgent, d.log)
	d.keeper.plan, d.keeper.failed = d.auto.plan, d.noSession
	d.conn, d.bus = bus.Conn, busapi.NewDevice(bus.Conn, d, d.log)
	if d.guard, err = newGuard(d.cfg.Authorization, bus.Conn, d.now, d.tellAuthorization, d.bus.Refresh, d.log); err != nil {
		return err
	}
	d.ops = newOperations(d.bus.Refresh)
	d.gauge = newGauge(d.now, d.bus.SetProgress)
	return nil
}

// openBook reads the book, and gives back the memory that this took, so that the first
// look does not come on top of it.
func (d *Daemon) openBook() error {
	defer d.thrift.begin()()
	d.book = openBook(d.state, d.log)
	d.book.siftMounts(d.space)
	now, err := systemStart(d.now())
	if err = errors.Join(err, d.book.begin(now)); err != nil {
		d.log.Warn("cannot tell whether the system went down without an orderly end", "error", err)
	}
	err = d.state.reopen()
	debug.FreeOSMemory()
	return err
}

// Run serves until the context ends, then ends everything that it started.
func (d *Daemon) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if d.watcher != nil {
		group.Go(func() error { return d.watcher.Run(ctx) })
	}
	if d.bluetooth != nil {
		group.Go(func() error { return d.bluetooth.client.Run(ctx) })
	}
	group.Go(func() error { return d.bus.Run(ctx) })
	group.Go(func() error { return d.awake(ctx) })
	group.Go(func() error { return d.keeper.run(ctx, d.onSession, d.onLink) })
	group.Go(func() error { return d.watchman(ctx) })
	group.Go(func() error { return d.scrubber(ctx) })
	group.Go(func() error { return d.asker(ctx) })
	group.Go(func() error { return d.interviewer(ctx) })
	group.Go(func() error { return d.healer(ctx) })
	group.Go(func() error { return d.driller(ctx) })
	group.Go(func() error { return d.auto.alarm.Run(ctx) })
	group.Go(func() error { return d.autobackup(ctx) })
	d.guardFunctions(ctx, group)
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, d.guard.close(), d.bluetooth.close(), d.auto.end(), d.book.save(), d.state.close())
}
