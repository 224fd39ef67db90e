package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// Which daemon a command speaks to.
const (
	sideDevice = "device"
	sideReader = "reader"
)

// app is one run of scrctl.
type app struct {
	in  *input
	out io.Writer
	err io.Writer
	env func(string) string
	now func() time.Time

	json    bool
	quiet   bool
	noInput bool

	ran      bool      // a command has begun: errors are its own, not the command line's
	doing    string    // what it does, for "cannot ..."
	side     string    // the daemon it spoke to last
	progress *progress // while a long call runs
}

func (a *app) tree() *cobra.Command {
	root := a.group("scrctl", "Back up a device to its smart card reader, and bring it back from there",
		a.statusCommand(), a.pairCommand(), a.unpairCommand(), a.backupCommand(), a.snapshotsCommand(),
		a.checkCommand(), a.reprovisionCommand(), a.forgetCommand(), a.verifyCommand(), a.autobackupCommand(), a.authorizationCommand(), a.passcodeCommand(), a.recoveryCodeCommand(), a.agentCommand(), a.monitorCommand(),
		a.readerCommand(), a.cardCommand(), a.versionCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(a.in.source)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			onlyBelow(c)
		}
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print one JSON document and nothing else")
	flags.BoolVar(&a.quiet, "quiet", false, "print no progress, no notes, and no word on success")
	flags.BoolVar(&a.noInput, "no-input", false, "never ask: fail when input is needed")
	return root
}

// group is a command that only has commands below it.
func (a *app) group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	onlyBelow(cmd)
	cmd.AddCommand(below...)
	return cmd
}

// onlyBelow makes anything but a command below an error. The root alone,
// without any, shows its help.
func onlyBelow(cmd *cobra.Command) {
	cmd.Args = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(c, args[0])
		case c.HasParent():
			return fmt.Errorf("%s: a command is missing", c.CommandPath())
		}
		return nil
	}
	cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

func unknownCommand(c *cobra.Command, name string) error {
	guess := ""
	c.SuggestionsMinimumDistance = 2
	if like := c.SuggestionsFor(name); len(like) > 0 {
		guess = fmt.Sprintf(" (did you mean %q?)", like[0])
	}
	return fmt.Errorf("unknown command %q for %q%s", name, c.CommandPath(), guess)
}

// command makes a command that does one thing: doing completes "cannot ...".
func (a *app) command(use, short, doing string, args cobra.PositionalArgs, run func(context.Context, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			a.ran, a.doing = true, doing
			return run(c.Context(), args)
		},
	}
}

// withDevice runs a function with a connection to reprovisiond.
func (a *app) withDevice(ctx context.Context, run func(*busapi.DeviceClient) error) error {
	a.side = sideDevice
	c, err := busapi.DialDevice(ctx, a.env, true)
	if err != nil {
		return err
	}
	defer c.Close()
	return run(c)
}

// withReader runs a function with a connection to scrd.
func (a *app) withReader(ctx context.Context, run func(*busapi.ReaderClient) error) error {
	a.side = sideReader
	c, err := busapi.DialReader(ctx, a.env, true)
	if err != nil {
		return err
	}
	defer c.Close()
	return run(c)
}

// long makes a call that may take long, with its progress on the screen.
func long[T any](ctx context.Context, a *app, c *busapi.DeviceClient, call func() (T, error)) (T, error) {
	stop, err := a.showProgress(c)
	if err != nil {
		var none T
		return none, err
	}
	defer stop()
	waiting := time.AfterFunc(patience, func() {
		if st, err := c.Status(ctx); err == nil && st.Paired && !st.InRange {
			a.note("waiting for the reader ...")
		}
	})
	defer waiting.Stop()
	return call()
}
