// Command h4relay stands between an emulated radio (btvirt -s) and the serial
// ports of virtual machines, and hands the radio whole H4 packets, one at a
// time: a radio that reads a part of a packet loses its place in the stream.
//
//	h4relay -radio SOCKET NAME=SOCKET [NAME=SOCKET]
//
// It listens on the socket of every NAME. Each has one controller at the radio,
// connected in the order of the names before the first guest can be, so that
// the controllers' addresses are the same in every run. A guest that leaves
// takes its links down with it; its controller is then a new one at the same
// address. h4relay prints "ready" when it listens, serves until SIGTERM or
// SIGINT, and ends with an error where the radio does.
//
// scripts/vm runs it; nothing imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

var errUsage = errors.New("usage: h4relay -radio SOCKET NAME=SOCKET [NAME=SOCKET]")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "h4relay:", err)
		os.Exit(1)
	}
}

// run serves the ports that args name until the context ends or the radio does.
func run(ctx context.Context, args []string, out io.Writer, log *slog.Logger) error {
	flags := flag.NewFlagSet("h4relay", flag.ContinueOnError)
	radio := flags.String("radio", "", "unix `socket` of the radio")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *radio == "" || flags.NArg() == 0 {
		return errUsage
	}
	ports, err := openPorts(ctx, *radio, flags.Args(), log)
	defer closeAll(ports)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return fmt.Errorf("cannot tell that the ports are open: %w", err)
	}
	return serve(ctx, ports)
}

// openPorts opens one port for each NAME=SOCKET, in this order. It returns
// those that it could open with the error as well.
func openPorts(ctx context.Context, radio string, names []string, log *slog.Logger) ([]*port, error) {
	var ports []*port
	turn := new(sync.Mutex)
	for _, arg := range names {
		name, path, found := strings.Cut(arg, "=")
		if !found || name == "" || path == "" {
			return ports, errUsage
		}
		p, err := openPort(ctx, path, radio, turn, log.With("port", name))
		if err != nil {
			return ports, fmt.Errorf("cannot open the port %s: %w", name, err)
		}
		ports = append(ports, p)
	}
	return ports, nil
}

func closeAll(ports []*port) {
	for _, p := range ports {
		p.close()
	}
}

// serve runs all ports until the context ends or one of them fails.
func serve(ctx context.Context, ports []*port) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, p := range ports {
		wg.Go(func() {
			if err := p.serve(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
