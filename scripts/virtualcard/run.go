package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/reprovision/reprovision/pkg/card/pcsctest"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// startTimeout bounds the start of pcscd and the insertion of the card.
const startTimeout = 30 * time.Second

type options struct {
	socket       string // of a private pcscd
	reader, vpcd string // of the host's
	dir, image   string
	profile      string
	capacity     int
}

// card makes the card, or takes up the one in the image.
func (o options) card() (*virtual.Card, error) {
	made := virtual.Options{Capacity: o.capacity, Image: o.image}
	if o.profile == piv.ProfileName {
		made.PIV = &virtual.PIV{}
	}
	return virtual.New(made)
}

// run serves until ctx ends, or until the reader is gone, which is an error.
func run(ctx context.Context, o options, out io.Writer) error {
	c, err := o.card()
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if o.reader != "" {
		return serve(ctx, starting, newBench(o.vpcd, o.reader, c), o, out)
	}
	daemon, err := pcsctest.Start(starting, o.socket, o.dir)
	if err != nil {
		return err
	}
	defer os.Remove(o.socket)
	defer daemon.Stop()
	if err := os.Setenv(pcsctest.SocketEnv, o.socket); err != nil {
		return err
	}
	return serve(ctx, starting, newBench(daemon.Address(0), daemon.Reader(0), c), o, out)
}

// serve watches the reader, inserts the card and takes commands.
func serve(ctx, starting context.Context, b *bench, o options, out io.Writer) error {
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
	if err := b.insertFirst(starting); err != nil {
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
	case <-b.gone:
		return errors.New("the reader is gone")
	}
}
