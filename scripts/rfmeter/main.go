// Command rfmeter measures how fast bytes come from a reader's host to a
// device's, over the project's own link and over bare RFCOMM sockets in turns:
//
//	rfmeter serve [-adapter NAME]
//	rfmeter dial [-adapter NAME] [-bytes N] [-rounds N] [-least PERCENT] ADDRESS
//
// serve offers both, the link by a profile of BlueZ and the bare copy on a
// channel of its own; it prints its address when it does, and ends with SIGTERM
// or SIGINT. dial asks for N bytes in each round, checks them, and prints the
// median of each way. It ends with 1 when the link is slower than PERCENT of the
// bare copy. The daemons must not run: BlueZ has each profile once.
//
// The tests in virtual machines run it; nothing imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/reprovision/reprovision/pkg/link"
)

type options struct {
	adapter string
	bytes   int64
	rounds  int
	least   float64
}

var errUsage = errors.New("usage: rfmeter serve [-adapter NAME] | rfmeter dial [-adapter NAME] [-bytes N] [-rounds N] [-least PERCENT] ADDRESS")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rfmeter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&o.adapter, "adapter", "", "`name` of the Bluetooth adapter; the first when not set")
	flags.Int64Var(&o.bytes, "bytes", 1<<20, "`number` of bytes in each round")
	flags.IntVar(&o.rounds, "rounds", 3, "`number` of rounds; up to three times as many when the link seems slow")
	flags.Float64Var(&o.least, "least", 0, "`percent` of the bare copy that the link must reach")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch {
	case args[0] == "serve" && flags.NArg() == 0:
		return serve(ctx, o, out)
	case args[0] == "dial" && flags.NArg() == 1 && o.rounds > 0 && o.bytes > 0 && o.bytes <= maxBytes:
		address, err := link.ParseAddress(flags.Arg(0))
		if err != nil {
			return err
		}
		return measure(ctx, o, address, out)
	}
	return errUsage
}
