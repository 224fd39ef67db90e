// Command bench measures what detection costs, and prints a table:
//
//	bench [-large]
//
// It has the deep check of a tree beside b3sum over the same files, the time from
// a hint of the watch to the verdict in a sandbox, first and quick scans of more
// and more files, with -large of a million, the daemon's own first look at as many, and
// what it uses while nothing happens. The environment:
//
//	BENCH_TREE       the tree for the deep check; a generated one when empty
//	REPROVISION_BIN  where the programs are; when empty they are built into bin/
//
// Times are those of warm caches, medians where something is done several times,
// and what is compared is run in turns. Each scan is a process of its own, this
// program again (bench scan ...), so that its memory is its own. Status 1 says that
// something could not be measured, 2 that the command line is wrong; a bar that is
// missed is told in the table only. Nothing imports the program.
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

var (
	errUsage = errors.New("usage: bench [-large]")
	// errSkip is wrapped by the reason why something cannot be measured here.
	errSkip = errors.New("skipped")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings say what is to be measured, and where.
type settings struct {
	large bool   // a million files too
	tree  string // "" to generate one
	bin   string // "" to build the programs
	dir   string // temporary
	logf  func(format string, args ...any)
}

func run(ctx context.Context, args []string, out, notes io.Writer) error {
	if len(args) > 0 && args[0] == "scan" {
		return scanChild(ctx, args[1:], out)
	}
	s := settings{tree: os.Getenv("BENCH_TREE"), bin: os.Getenv("REPROVISION_BIN")}
	s.logf = func(format string, args ...any) { fmt.Fprintf(notes, format+"\n", args...) }
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&s.large, "large", false, "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 0 {
		return errUsage
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return fmt.Errorf("cannot make a temporary directory: %w", err)
	}
	s.dir = dir
	err = errors.Join(s.all(ctx, out), os.RemoveAll(dir))
	return err
}

// all measures one thing after the other and prints the table at the end. What
// fails keeps nothing else from being measured.
func (s settings) all(ctx context.Context, out io.Writer) error {
	var t table
	var failed error
	for _, part := range []struct {
		name    string
		measure func(context.Context, settings, *table) error
	}{
		{"deep check", deepCheck},
		{"scaling", scaling},
		{"first look", firstLooks},
		{"watch", watching},
	} {
		s.logf("%s ...", part.name)
		switch err := part.measure(ctx, s, &t); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errSkip):
			t.add(part.name, err.Error(), "")
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	return errors.Join(failed, t.write(out))
}
