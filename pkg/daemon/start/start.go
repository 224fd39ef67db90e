// Package start owns what the two daemons do alike from their command line to
// their first breath: flags, settings, log, bus connection, exit code. The
// daemons' own packages import it and nobody else.
package start

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
)

// Exit codes, those of the contract that a daemon can end with.
const (
	Done   = 0
	Failed = 1
	Usage  = 2
)

// Daemon is a program that Main can run.
type Daemon struct {
	Name string // of the program
	File string // of its settings, when the command line names none
	// Bus is the address of its bus, given the environment.
	Bus func(env func(string) string) string
	// Load reads the settings; file is empty when the command line names none.
	Load func(file string) (Settings, error)
}

// Settings are what Main needs of a daemon's settings.
type Settings struct {
	LogLevel string
	// Serve runs the daemon until the context ends. It does not close bus.Conn.
	Serve func(ctx context.Context, bus Bus, log *slog.Logger) error
}

// Bus is the bus that a daemon is on.
type Bus struct {
	Conn *dbus.Conn // the daemon's own objects are on it
	// Connect opens another connection to the same bus. Whoever calls it closes it.
	Connect func() (*dbus.Conn, error)
}

// Main runs a daemon until the context ends and returns its exit code. Errors
// and the log go to errOut, one line each.
func (d Daemon) Main(ctx context.Context, args []string, errOut io.Writer, env func(string) string) int {
	code, err := d.main(ctx, args, errOut, env)
	if err != nil {
		fmt.Fprintf(errOut, "%s: %v\n", d.Name, err)
	}
	return code
}

func (d Daemon) main(ctx context.Context, args []string, errOut io.Writer, env func(string) string) (int, error) {
	flags := flag.NewFlagSet(d.Name, flag.ContinueOnError)
	flags.SetOutput(errOut)
	file := flags.String("config", "", "settings `file` (default "+d.File+")")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return Done, nil
	case err != nil:
		return Usage, nil // the flag package has said why
	case flags.NArg() > 0:
		return Usage, fmt.Errorf("cannot use the argument %q: there are only flags", flags.Arg(0))
	}
	settings, err := d.Load(*file)
	var bad *config.Error
	if errors.As(err, &bad) {
		return Usage, err
	}
	if err == nil {
		err = d.serve(ctx, settings, errOut, env)
	}
	if err != nil {
		return Failed, err
	}
	return Done, nil
}

func (d Daemon) serve(ctx context.Context, settings Settings, errOut io.Writer, env func(string) string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings.LogLevel)); err != nil {
		return fmt.Errorf("cannot set the log level: %w", err)
	}
	connect := func() (*dbus.Conn, error) { return busapi.Connect(d.Bus(env)) }
	conn, err := connect()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level}))
	return errors.Join(settings.Serve(ctx, Bus{Conn: conn, Connect: connect}, log), conn.Close())
}
