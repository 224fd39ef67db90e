// Command catalogue tries what the device's daemon makes of faults and of what
// people and programs do, and prints a table of it:
//
//	catalogue faults|acts [-v] [-only REGEXP]
//
// faults damages files of all four classes in every way of a catalogue, most of
// them on a file system in an image, under which it writes; each has to be found,
// called by its name and mended by itself. acts does what owners, editors and
// programs do to files; none of it may be undone. docs/detection.md has the rules.
//
// The programs are those in the directory REPROVISION_BIN, else new ones. Each
// catalogue runs in sandboxes of its own below a temporary directory and takes
// some minutes. Status 1 says that something was not as it should be, 2 that the
// command line is wrong. Nothing imports the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

var (
	errUsage  = errors.New("usage: catalogue faults|acts [-v] [-only REGEXP]")
	errMissed = errors.New("not everything was as it should be")
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
		fmt.Fprintln(os.Stderr, "catalogue:", err)
		os.Exit(1)
	}
}

// settings say what a catalogue is to try, and with what.
type settings struct {
	bin     string         // where the programs are
	only    *regexp.Regexp // of the names of the entries; nil: all
	verbose bool           // the verdict and the reason for each entry
	logf    func(format string, args ...any)
}

// wants tells whether an entry of that name is to be tried.
func (s settings) wants(name string) bool { return s.only == nil || s.only.MatchString(name) }

func run(ctx context.Context, args []string, out, notes io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	var catalogue func(context.Context, settings) (outcome, error)
	switch args[0] {
	case "faults":
		catalogue = faults
	case "acts":
		catalogue = acts
	default:
		return errUsage
	}
	s, err := parse(args[1:])
	if err != nil {
		return err
	}
	s.logf = func(format string, args ...any) { fmt.Fprintf(notes, format+"\n", args...) }
	done, err := withPrograms(ctx, s, catalogue)
	err = errors.Join(err, done.write(out))
	if err == nil && len(done.misses) > 0 {
		err = errMissed
	}
	return err
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("catalogue", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&s.verbose, "v", false, "")
	only := flags.String("only", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 0 {
		return s, errUsage
	}
	if *only != "" {
		var err error
		if s.only, err = regexp.Compile(*only); err != nil {
			return s, fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	return s, nil
}

// withPrograms runs a catalogue with the programs that the environment names, or
// new ones.
func withPrograms(ctx context.Context, s settings, catalogue func(context.Context, settings) (outcome, error)) (outcome, error) {
	s.bin = os.Getenv("REPROVISION_BIN")
	if s.bin == "" {
		dir, err := os.MkdirTemp("", "catalogue-bin-")
		if err != nil {
			return outcome{}, fmt.Errorf("cannot make a directory for the programs: %w", err)
		}
		defer os.RemoveAll(dir)
		s.bin = dir
		if err := build(ctx, dir); err != nil {
			return outcome{}, err
		}
	}
	return catalogue(ctx, s)
}
