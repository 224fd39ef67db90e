package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/desktop"
)

func (a *app) agentCommand() *cobra.Command {
	var onDesktop bool
	var pinentry string
	cmd := a.command("agent", "Answer what the device asks its owner, until interrupted", "answer prompts", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if onDesktop {
				return a.desktopAgent(ctx, pinentry)
			}
			return a.terminalAgent(ctx)
		})
	cmd.Long = `Answer what the device asks its owner, until interrupted: passcodes and PINs,
whether to restore, when to back up. Questions come on standard error, and the
answers from standard input; with --desktop in notifications and in pinentry's
windows.`
	cmd.Flags().BoolVar(&onDesktop, "desktop", false, "ask by desktop notifications and pinentry")
	cmd.Flags().StringVar(&pinentry, "pinentry", "pinentry", "the `PROGRAM` that asks for passcodes, with --desktop")
	return cmd
}

func (a *app) terminalAgent(ctx context.Context) error {
	if a.noInput {
		return usageError{fmt.Errorf("%w: an agent asks, and --no-input forbids that", busapi.ErrInputNeeded)}
	}
	return a.attendTo(ctx, newAttendant(a), false)
}

// desktopAgent runs in the background of a session: polkit must not ask at each login
// whether it may answer for the owner.
func (a *app) desktopAgent(ctx context.Context, pinentry string) error {
	c := desktop.Config{Pinentry: pinentry, Term: a.env("TERM"), Note: a.note}
	if a.in.terminal {
		c.TTY, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", a.in.file.Fd())) // without, it needs a display
	}
	d, err := desktop.Open(a.env, c)
	if err != nil {
		return err
	}
	defer d.Close()
	return a.attendTo(ctx, d, true)
}
