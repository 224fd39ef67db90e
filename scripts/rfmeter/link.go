package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/rfcomm"
)

// patience bounds each wait and each copy.
const patience = 90 * time.Second

// linkPiece is the size of a write to the link, which makes its own of it.
const linkPiece = 1 << 20

// client makes a client of BlueZ, and a function that ends its connection.
func client(o options, role bluez.Role) (*bluez.Client, func(), error) {
	conn, err := busapi.Connect(busapi.DeviceBus(os.Getenv))
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c := bluez.New(bluez.Config{Conn: conn, Role: role, Adapter: o.adapter, Power: true, Logger: log})
	return c, func() { _ = conn.Close() }, nil
}

// usable waits until the adapter is.
func usable(ctx context.Context, c *bluez.Client) (link.Address, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := c.Wait(ctx)
	return link.Address(c.State().Address), err
}

// limited bounds an exchange on a connection.
func limited(conn interface{ SetDeadline(time.Time) error }, exchange func() error) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return exchange()
}

// serve answers both ways until ctx ends, visible to everybody meanwhile.
func serve(ctx context.Context, o options, out io.Writer) error {
	c, bye, err := client(o, bluez.Server)
	if err != nil {
		return err
	}
	defer bye()
	ctx, cancel := context.WithCancel(ctx)
	l := rfcomm.NewListener(c)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { _ = l.Run(ctx) }) // its end shows in Accept
	local, err := usable(ctx, c)
	if err == nil {
		err = c.Show(ctx, time.Hour)
	}
	if err != nil {
		return err
	}
	note := func(err error) {
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "rfmeter:", err)
		}
	}
	failed := make(chan error, 2)
	group.Go(func() { failed <- bareServe(ctx, local, note) })
	group.Go(func() { failed <- linkServe(ctx, l, note) })
	if _, err := fmt.Fprintln(out, local); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// linkServe answers over the link, one peer at a time.
func linkServe(ctx context.Context, l *rfcomm.Listener, note func(error)) error {
	for {
		conn, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		note(limited(conn, func() error { return answer(conn, linkPiece) }))
		_ = conn.Close() // a copy that failed has been noted
	}
}

// way is one of the two ways from host to host.
type way struct {
	name string
	dial func(context.Context) (connection, error)
	kept []float64 // bytes a second, one for each round
}

type connection interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// ways are the bare copy and the link, in that order.
func ways(c *bluez.Client, local, peer link.Address) []*way {
	return []*way{
		{name: "bare copy", dial: func(context.Context) (connection, error) { return bareDial(local, peer) }},
		{name: "link", dial: func(ctx context.Context) (connection, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return rfcomm.Dialer{Client: c}.Dial(ctx, peer)
		}},
	}
}

// round makes one copy and tells its bytes a second.
func (w *way) round(ctx context.Context, n int64) (rate float64, err error) {
	conn, err := w.dial(ctx)
	if err != nil {
		return 0, err
	}
	err = limited(conn, func() (err error) {
		rate, err = fetch(conn, n)
		return err
	})
	if file, bare := conn.(*os.File); bare {
		bluez.HangUp(file)
	}
	_ = conn.Close() // everything has been read, or the copy has failed
	if err != nil {
		return 0, fmt.Errorf("%s: %w", w.name, err)
	}
	w.kept = append(w.kept, rate)
	return rate, nil
}

func (w *way) median() float64 {
	sorted := slices.Sorted(slices.Values(w.kept))
	return sorted[len(sorted)/2]
}

var errSlow = errors.New("the link is too slow")

// measure copies both ways in turns, so that a busy machine hits both. Where the
// link seems slow it goes on for up to three times as many rounds, to be sure.
func measure(ctx context.Context, o options, peer link.Address, out io.Writer) error {
	c, bye, err := client(o, bluez.Dialer)
	if err != nil {
		return err
	}
	defer bye()
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { _ = c.Run(ctx) }) // its end shows in Wait and Dial
	local, err := usable(ctx, c)
	if err != nil {
		return err
	}
	both := ways(c, local, peer)
	for round := 1; round <= o.rounds || round <= 3*o.rounds && share(both) < o.least; round++ {
		for _, w := range both {
			rate, err := w.round(ctx, o.bytes)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "round %d: %s %.1f kB/s\n", round, w.name, rate/1e3)
		}
	}
	return verdict(o, both, out)
}

// share is how much of the bare copy's speed the link reaches, in percent.
func share(both []*way) float64 { return 100 * both[1].median() / both[0].median() }

func verdict(o options, both []*way, out io.Writer) error {
	fmt.Fprintf(out, "median of %d rounds of %d bytes: %s %.1f kB/s, %s %.1f kB/s, which is %.0f %%\n", len(both[0].kept),
		o.bytes, both[0].name, both[0].median()/1e3, both[1].name, both[1].median()/1e3, share(both))
	if share(both) < o.least {
		return fmt.Errorf("%w: %.0f %% of a bare copy, at least %.0f %% are wanted", errSlow, share(both), o.least)
	}
	return nil
}
