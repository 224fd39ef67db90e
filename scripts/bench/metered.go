package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/reprovision/reprovision/scripts/bench/meter"
)

// The two links that the rows are for: what a phone reaches with a good reader and
// with a Raspberry Pi 3.
func fastLink() meter.Shape { return meter.Shape{Rate: 220_000, Trip: 20 * time.Millisecond} }
func slowLink() meter.Shape { return meter.Shape{Rate: 80_000, Trip: 60 * time.Millisecond} }

// metered is a sandbox with a meter on its link.
type metered struct {
	*rig
	meter *meter.Meter
	stop  context.CancelFunc
	done  chan error
}

// openMetered starts a sandbox whose device reaches the reader through a meter.
func openMetered(ctx context.Context, s settings, name string) (*metered, error) {
	r, err := newRig(ctx, s, name)
	if err != nil {
		return nil, err
	}
	via := filepath.Join(s.dir, name+".link")
	ln, err := net.Listen("unix", via)
	if err != nil {
		return nil, fmt.Errorf("cannot put a meter on the link: %w", err)
	}
	m := &metered{rig: r, meter: meter.New(), done: make(chan error, 1)}
	within, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.stop = stop
	go func() { m.done <- m.meter.Serve(within, ln, "unix", filepath.Join(r.dir, "reader.sock")) }()
	if err := r.open(ctx, "--via="+via); err != nil {
		stop()
		return nil, errors.Join(err, <-m.done)
	}
	return m, nil
}

// close stops the sandbox and the meter.
func (m *metered) close() error {
	err := m.down()
	m.stop()
	return errors.Join(err, <-m.done)
}

// spent is what a step took: bytes on the link, and time.
type spentOn struct {
	count meter.Count
	took  time.Duration
}

// measure runs a command of scrctl and tells what passed meanwhile.
func (m *metered) measure(ctx context.Context, args ...string) (spentOn, error) {
	m.meter.Take()
	start := time.Now()
	err := m.scrctl(ctx, cardFull, args...)
	return spentOn{count: m.meter.Take(), took: time.Since(start)}, err
}

// cardFull is the exit code of a backup that has more than the card holds; it is
// safe at the reader then.
const cardFull = 9

// settle waits until the device takes what was written for written.
func (m *metered) settle(ctx context.Context) error {
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	return m.scrctl(ctx, damageFound, "check")
}

// damageFound is the exit code of a check that has found damage.
const damageFound = 20

// replace is a new device in place of the old one: it is paired, and has nothing.
func (m *metered) replace(ctx context.Context) error {
	if err := m.run(ctx, "scripts/sandbox", "wipe-device", m.dir); err != nil {
		return err
	}
	if err := m.pair(ctx); err != nil {
		return err
	}
	return pause(ctx, time.Second) // what follows a pairing by itself is over
}
