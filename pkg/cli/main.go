package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Stdio is where a command reads and writes. Out gets results and nothing else;
// prompts, progress, notes and errors go to Err.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Main runs scrctl with the arguments after its name and returns its exit code,
// one of the table in exit.go. The function env is os.Getenv or like it. When
// ctx ends, the command is canceled.
func Main(ctx context.Context, args []string, stdio Stdio, env func(string) string) int {
	return mainAt(ctx, args, stdio, env, time.Now)
}

// mainAt is Main by another clock.
func mainAt(ctx context.Context, args []string, stdio Stdio, env func(string) string, now func() time.Time) int {
	a := &app{
		in: newInput(stdio.In), out: stdio.Out, err: stdio.Err, env: env, now: now,
	}
	root := a.tree()
	root.SetArgs(append([]string{}, args...)) // never nil: cobra would take os.Args
	err := root.ExecuteContext(ctx)
	if err != nil && !a.ran {
		err = usageError{err}
	}
	// A flag may not have been parsed when the command line is wrong.
	a.json = a.json || slices.Contains(args, "--json")
	return a.finish(err)
}

// usageError is a command line that cannot be run.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// outcome ends a command whose result is out, with a code that is not 0.
type outcome struct{ code int }

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", o.code) }

// finish reports how a command ended, and returns the exit code.
func (a *app) finish(err error) int {
	var o outcome
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &o):
		return o.code
	}
	code := exitCode(err)
	fmt.Fprintln(a.err, "scrctl: "+a.complaint(err))
	if advice := a.advice(err); advice != "" {
		fmt.Fprintln(a.err, advice)
	}
	if a.json {
		_ = a.writeJSON(errorDocument(code, err)) // the line above has said it
	}
	return code
}

// Command is the command tree, for what documents it. Running it does nothing
// that Main would not do better.
func Command() *cobra.Command {
	a := &app{in: newInput(strings.NewReader("")), out: io.Discard, err: io.Discard, env: func(string) string { return "" }, now: time.Now}
	root := a.tree()
	root.DisableAutoGenTag = true
	return root
}
