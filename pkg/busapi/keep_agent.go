package busapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// Standing is how an agent that KeepAgent keeps stands with the daemon.
type Standing string

// The standings.
const (
	StandingAway  Standing = "away"  // the daemon does not run
	StandingUser  Standing = "user"  // the agent answers its user's own programs only
	StandingOwner Standing = "owner" // and for the owner: it is a default agent
)

// AgentOptions say how KeepAgent keeps an agent.
type AgentOptions struct {
	// Quiet keeps polkit from asking a person whether the agent may answer for the owner.
	Quiet bool
	// Standing is told how the agent stands, first at the start, from one goroutine.
	Standing func(Standing)
}

// KeepAgent answers reprovisiond's prompts with p until ctx ends, which gives nil. It
// outlives the daemon: when that comes back the agent is registered again. Where
// polkit does not let it answer for the owner it answers its user's own programs. When
// it returns no prompt is open. The error wraps ErrNotRunning when there is no bus.
func KeepAgent(ctx context.Context, env func(string) string, p Prompter, o AgentOptions) error {
	k := &kept{prompt: p, AgentOptions: o, following: following{
		client: client{path: DevicePath, iface: busfiles.DeviceInterface}, name: DeviceName,
	}}
	k.attach, k.signal = k.register, func(*dbus.Signal) {}
	defer k.end()
	return k.run(ctx, DeviceBus(env))
}

// kept is an agent that outlives the daemon.
type kept struct {
	following
	AgentOptions
	prompt Prompter
	agent  *clientAgent // nil while the daemon is not there
}

// end takes prompts of a daemon that is gone, or not needed, off the screen.
func (k *kept) end() {
	if k.agent != nil {
		k.agent.close()
		k.agent = nil
	}
}

// register registers at a new run of the daemon.
func (k *kept) register(ctx context.Context, owner string) error {
	k.end()
	if owner == "" {
		k.Standing(StandingAway)
		return nil
	}
	k.agent = newClientAgent(ctx, owner, k.prompt)
	err := k.client.register(ctx, k.agent)
	if err == nil {
		err = k.appoint(ctx, k.Quiet)
	}
	switch {
	case err == nil:
		k.Standing(StandingOwner)
	case ctx.Err() != nil:
	case errors.Is(err, ErrNotAllowed):
		k.Standing(StandingUser)
	case errors.Is(err, ErrNotRunning): // gone again; its signal is on the way
		k.owner = ""
		k.Standing(StandingAway)
	default:
		return fmt.Errorf("cannot answer prompts: %w", err)
	}
	return nil
}
