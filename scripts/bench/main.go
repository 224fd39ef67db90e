// Command bench measures what detection and the engine cost, and prints two tables:
//
//	bench [-large] [-only PART] [-rounds N] [-tree DIR] [-write]
//
// Detection: the deep check of a tree beside b3sum over the same files, the time from
// a hint of the watch to the verdict in a sandbox, first and quick scans of more
// and more files, with -large of a million, the daemon's own first look at as many, and
// what it uses while nothing happens. The engine: bytes and times of backups and restores, with a meter
// on the link that counts, and slows it to that of a phone; beside it what restic,
// borg and rsync need for the same, where they are installed. Parts are "deep check",
// "scaling", "first look", "watch" and "engine". -write puts the engine's table and a plot of it into docs/.
//
//	BENCH_TREE       as -tree: the tree to work on; a generated one when empty. It has the
//	                 classes as directories, or those of the trees that figures elsewhere are
//	                 about: tiny/services, tiny/keys, prefs, user
//	REPROVISION_BIN  where the programs are; when empty they are built into bin/
//
// Times are those of warm caches, medians where something is done several times,
// and what is compared is run in turns. Each scan is a process of its own, this
// program again (bench scan ...), so that its memory is its own; so is what stands
// for a remote shell to borg and rsync (bench pipe ...). Status 1 says that
// something could not be measured or that a bar is missed, 2 that the command line is
// wrong. Nothing imports the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

var (
	errUsage = errors.New("usage: bench [-large] [-only PART] [-rounds N] [-tree DIR] [-write]")
	// errMissed says that a figure is beyond its bar.
	errMissed = errors.New("a bar is missed")
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
	large  bool   // a million files too
	only   string // the part to measure; "" for all
	rounds int    // how often the engine's times are measured
	write  bool   // the engine's table into docs/
	tree   string // "" to generate one
	bin    string // "" to build the programs
	dir    string // temporary
	logf   func(format string, args ...any)
}

func run(ctx context.Context, args []string, out, notes io.Writer) error {
	if len(args) > 0 && args[0] == "scan" {
		return scanChild(ctx, args[1:], out)
	}
	if len(args) > 0 && args[0] == "pipe" {
		return pipeChild(ctx, args[1:])
	}
	s := settings{tree: os.Getenv("BENCH_TREE"), bin: os.Getenv("REPROVISION_BIN")}
	s.logf = func(format string, args ...any) { fmt.Fprintf(notes, format+"\n", args...) }
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&s.large, "large", false, "")
	flags.BoolVar(&s.write, "write", false, "")
	flags.IntVar(&s.rounds, "rounds", rounds, "")
	flags.StringVar(&s.only, "only", "", "")
	flags.StringVar(&s.tree, "tree", s.tree, "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 0 || s.rounds < 1 {
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

// all measures one thing after the other and prints the tables at the end. What
// fails keeps nothing else from being measured.
func (s settings) all(ctx context.Context, out io.Writer) error {
	var t table
	l := league{tree: "generated", away: make(map[string]string)}
	if s.tree != "" {
		l.tree = "given"
	}
	var failed error
	for _, part := range []struct {
		name    string
		measure func(context.Context, settings, *table) error
	}{
		{"deep check", deepCheck},
		{"scaling", scaling},
		{"first look", firstLooks},
		{"watch", watching},
		{"engine", func(ctx context.Context, s settings, _ *table) error { return engine(ctx, s, &l) }},
	} {
		if s.only != "" && s.only != part.name {
			continue
		}
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
	failed = errors.Join(failed, t.write(out), l.print(out))
	if s.write && failed == nil {
		failed = s.document(ctx, &l)
	}
	if t.missed() || l.missed() {
		failed = errors.Join(failed, errMissed)
	}
	return failed
}

// document writes the engine's table into the checkout.
func (s settings) document(ctx context.Context, l *league) error {
	if len(l.steps) == 0 {
		return nil
	}
	repo, err := checkout(ctx)
	if err != nil {
		return err
	}
	return l.write(filepath.Join(repo, "docs"))
}
