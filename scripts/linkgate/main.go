// Command linkgate stands between the device and the reader of a sandbox, so
// that the link can be cut and mended as if the two were carried apart. It
// copies bytes from one unix socket to another and knows nothing of them.
//
//	linkgate run -listen PATH -dial PATH -control PATH
//	linkgate say PATH WORD
//
// run serves until it is told to end by SIGTERM or SIGINT. say sends one word
// (cut, mend, "slow RATE" for bytes a second each way, fast or status) to a control
// socket and prints the line that comes back; it speaks to the virtual card's
// control socket as well.
//
// scripts/sandbox runs it; nothing imports it.
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
)

var errUsage = errors.New("usage: linkgate run -listen PATH -dial PATH -control PATH | linkgate say PATH WORD")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "linkgate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) > 0 && args[0] == "run":
		return runGate(ctx, args[1:])
	case len(args) == 3 && args[0] == "say":
		answer, err := say(ctx, args[1], args[2])
		if err == nil {
			_, err = fmt.Fprintln(out, answer)
		}
		return err
	}
	return errUsage
}

func runGate(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("linkgate run", flag.ContinueOnError)
	listen := flags.String("listen", "", "unix `socket` that the device dials")
	dial := flags.String("dial", "", "unix `socket` of the reader")
	control := flags.String("control", "", "unix `socket` that takes cut, mend and status")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *listen == "" || *dial == "" || *control == "" || flags.NArg() > 0 {
		return errUsage
	}
	g := newGate(*listen, *dial)
	if err := g.mend(); err != nil {
		return err
	}
	defer g.cut()
	return serveControl(ctx, *control, g.obey)
}
