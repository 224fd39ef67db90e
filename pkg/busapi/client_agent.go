package busapi

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"
)

// clientAgent is org.reprovision.Agent1 on the client's side.
type clientAgent struct {
	owner  string // the only connection that it answers
	prompt Prompter
	base   context.Context // of ServeAgent: prompts end with it

	mu      sync.Mutex
	pending map[*call]struct{}
	closed  bool
	open    sync.WaitGroup // prompts
}

func newClientAgent(ctx context.Context, owner string, p Prompter) *clientAgent {
	return &clientAgent{owner: owner, prompt: p, base: ctx, pending: make(map[*call]struct{})}
}

func (a *clientAgent) methods() map[string]any {
	return map[string]any{
		"RequestPairingPasscode": a.requestPairingPasscode,
		"RequestCardPin":         a.requestCardPIN,
		"RequestNewPasscode":     a.requestNewPasscode,
		"RequestPasscode":        a.requestPasscode,
		"ConfirmReprovision":     a.confirmReprovision,
		"Cancel":                 a.cancel,
		"Release":                a.cancel,
	}
}

// check refuses everyone but the daemon: any connection may call us, and could
// otherwise ask the owner for a passcode and get it.
func (a *clientAgent) check(sender dbus.Sender) error {
	if string(sender) != a.owner {
		return fmt.Errorf("%w: this agent answers the daemon only", ErrNotAllowed)
	}
	return nil
}

// begin makes the context of a prompt, which Cancel ends.
func (a *clientAgent) begin() (context.Context, func(), error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, nil, fmt.Errorf("%w: the agent has ended", ErrInputNeeded)
	}
	ctx, cancel := context.WithCancelCause(a.base)
	one := &call{cancel: cancel}
	a.pending[one] = struct{}{}
	a.open.Add(1)
	return ctx, func() {
		a.mu.Lock()
		delete(a.pending, one)
		a.mu.Unlock()
		cancel(nil)
		a.open.Done()
	}, nil
}

func (a *clientAgent) cancelAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for one := range a.pending {
		one.cancel(ErrCanceled)
	}
}

// close takes prompts off the screen and waits until they are: a terminal that
// hid what was typed must show it again before the process ends.
func (a *clientAgent) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancelAll()
	a.open.Wait()
}

// agentError is toBusError with the one name for "no" that Agent1 has.
func agentError(err error) *dbus.Error {
	if errors.Is(err, ErrDeclined) {
		err = fmt.Errorf("%w: the owner declined", ErrCanceled)
	}
	return toBusError(err)
}

// text answers a prompt for a text; details is where its argument goes.
func (a *clientAgent) text(sender dbus.Sender, dict Dict, details any, ask func(context.Context) (string, error)) (string, *dbus.Error) {
	if err := a.check(sender); err != nil {
		return "", toBusError(err)
	}
	if err := clientCodec().decode(dict, details); err != nil {
		return "", toBusError(err)
	}
	ctx, end, err := a.begin()
	if err != nil {
		return "", toBusError(err)
	}
	defer end()
	code, err := ask(ctx)
	if err != nil {
		return "", agentError(err)
	}
	return argToBus(code), nil
}

func (a *clientAgent) requestPairingPasscode(sender dbus.Sender, details Dict) (string, *dbus.Error) {
	var d passcodeDetails
	return a.text(sender, details, &d, func(ctx context.Context) (string, error) {
		return a.prompt.PairingPasscode(ctx, d.Reader, d.Retry)
	})
}

func (a *clientAgent) requestCardPIN(sender dbus.Sender, details Dict) (string, *dbus.Error) {
	var d pinDetails
	return a.text(sender, details, &d, func(ctx context.Context) (string, error) {
		return a.prompt.CardPIN(ctx, d.Reader, d.Left, d.Retry)
	})
}

func (a *clientAgent) requestNewPasscode(sender dbus.Sender, details Dict) (string, *dbus.Error) {
	var d newPasscodeDetails
	return a.text(sender, details, &d, func(ctx context.Context) (string, error) {
		return a.prompt.NewPasscode(ctx, d.Change)
	})
}

func (a *clientAgent) requestPasscode(sender dbus.Sender, details Dict) (string, *dbus.Error) {
	var d ownerDetails
	return a.text(sender, details, &d, func(ctx context.Context) (string, error) {
		return a.prompt.Passcode(ctx, d.Device, d.Retry)
	})
}

func (a *clientAgent) confirmReprovision(sender dbus.Sender, summary Dict) (bool, *dbus.Error) {
	if err := a.check(sender); err != nil {
		return false, toBusError(err)
	}
	var r ReprovisionResult
	if err := clientCodec().decode(summary, &r); err != nil {
		return false, toBusError(err)
	}
	ctx, end, err := a.begin()
	if err != nil {
		return false, toBusError(err)
	}
	defer end()
	yes, err := a.prompt.ConfirmReprovision(ctx, r)
	return yes, agentError(err)
}

func (a *clientAgent) cancel(sender dbus.Sender) *dbus.Error {
	if err := a.check(sender); err != nil {
		return toBusError(err)
	}
	a.cancelAll()
	return nil
}
