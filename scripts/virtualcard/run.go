package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/pcsctest"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// startTimeout bounds the start of pcscd and the insertion of the card.
const startTimeout = 30 * time.Second

type options struct {
	socket, dir, image string
	capacity           int
}

// run serves until ctx ends, or until pcscd does, which is an error.
func run(ctx context.Context, o options, out io.Writer) error {
	c, err := virtual.New(virtual.Options{Capacity: o.capacity, Image: o.image})
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	daemon, err := pcsctest.Start(starting, o.socket, o.dir)
	if err != nil {
		return err
	}
	defer os.Remove(o.socket)
	defer daemon.Stop()
	if err := os.Setenv(pcsctest.SocketEnv, o.socket); err != nil {
		return err
	}
	return serve(ctx, starting, newBench(daemon, c), daemon.Done(), o, out)
}

// serve watches the reader, inserts the card and takes commands.
func serve(ctx, starting context.Context, b *bench, ended <-chan struct{}, o options, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = b.watch(ctx) // ends with its context, without an error
	}()
	defer func() {
		cancel()
		b.pullNow()
		<-watched
	}()
	if err := b.insert(starting); err != nil {
		return err
	}
	control, err := listenControl(o.dir)
	if err != nil {
		return err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		control.serve(ctx, b)
	}()
	defer func() {
		cancel()
		control.close()
		<-served
	}()
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return errors.New("pcscd ended")
	}
}

// reader watches the first virtual reader only, and reads no cards.
func reader(daemon *pcsctest.Daemon, notify func(card.Event)) *pcsc.Reader {
	return pcsc.New(pcsc.Config{Match: daemon.Reader(0), Notify: notify})
}
