package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) agentCommand() *cobra.Command {
	cmd := a.command("agent", "Answer what the device asks its owner, until interrupted", "answer prompts", cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return a.terminalAgent(ctx) })
	cmd.Long = `Answer what the device asks its owner, until interrupted: passcodes and PINs,
whether to restore, when to back up. Questions come on standard error, and the
answers from standard input.`
	return cmd
}

func (a *app) terminalAgent(ctx context.Context) error {
	if a.noInput {
		return usageError{fmt.Errorf("%w: an agent asks, and --no-input forbids that", busapi.ErrInputNeeded)}
	}
	return a.attendTo(ctx, attendant{&owner{app: a, attends: true}}, false)
}
