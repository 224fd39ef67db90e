package busapi

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
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
		"RequestAutoBackup":      a.requestAutoBackup,
		"RequestPairing":         a.requestPairing,
		"Notify":                 a.notify,
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

// register exports an agent and tells the daemon of it.
func (c *client) register(ctx context.Context, a *clientAgent) error {
	if err := c.conn.ExportMethodTable(a.methods(), AgentPath, busfiles.AgentInterface); err != nil {
		return fmt.Errorf("cannot export the agent: %w", err)
	}
	if err := c.call(ctx, "RegisterAgent", []any{AgentPath}); err != nil {
		return fmt.Errorf("cannot register the agent: %w", err)
	}
	return nil
}

// appoint asks that the agent may answer for the owner. With quiet set polkit asks
// nobody.
func (c *client) appoint(ctx context.Context, quiet bool) error {
	return c.call(ctx, "RequestDefaultAgent", []any{AgentPath, clientCodec().encode(agentOptions{Quiet: quiet})})
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

// answer asks with the details of a question decoded into a place.
func answer[T any](a *clientAgent, sender dbus.Sender, dict Dict, details any, ask func(context.Context) (T, error)) (T, *dbus.Error) {
	var none T
	if err := a.check(sender); err != nil {
		return none, toBusError(err)
	}
	if err := clientCodec().decode(dict, details); err != nil {
		return none, toBusError(err)
	}
	ctx, end, err := a.begin()
	if err != nil {
		return none, toBusError(err)
	}
	defer end()
	said, err := ask(ctx)
	if err != nil {
		return none, agentError(err)
	}
	return said, nil
}

// text answers a prompt for a text; details is where its argument goes.
func (a *clientAgent) text(sender dbus.Sender, dict Dict, details any, ask func(context.Context) (string, error)) (string, *dbus.Error) {
	code, err := answer(a, sender, dict, details, ask)
	return argToBus(code), err
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
		return a.prompt.Passcode(ctx, d.Device, d.Left, d.Retry)
	})
}

func (a *clientAgent) confirmReprovision(sender dbus.Sender, summary Dict) (bool, *dbus.Error) {
	var r ReprovisionResult
	return answer(a, sender, summary, &r, func(ctx context.Context) (bool, error) {
		return a.prompt.ConfirmReprovision(ctx, r)
	})
}

func (a *clientAgent) requestAutoBackup(sender dbus.Sender, details Dict) (Dict, *dbus.Error) {
	var q AutoBackupQuestion
	return answer(a, sender, details, &q, func(ctx context.Context) (Dict, error) {
		s, err := a.prompt.AutoBackup(ctx, q)
		return clientCodec().encode(s), err
	})
}

func (a *clientAgent) requestPairing(sender dbus.Sender, details Dict) (string, *dbus.Error) {
	var q PairingQuestion
	return a.text(sender, details, &q, func(ctx context.Context) (string, error) { return a.prompt.Pairing(ctx, q) })
}

// notify shows a notice, where the prompter can show any.
func (a *clientAgent) notify(sender dbus.Sender, notice Dict) *dbus.Error {
	if err := a.check(sender); err != nil {
		return toBusError(err)
	}
	var n Notice
	if err := clientCodec().decode(notice, &n); err != nil {
		return toBusError(err)
	}
	if notifier, ok := a.prompt.(Notifier); ok {
		notifier.Notify(n)
	}
	return nil
}

func (a *clientAgent) cancel(sender dbus.Sender) *dbus.Error {
	if err := a.check(sender); err != nil {
		return toBusError(err)
	}
	a.cancelAll()
	return nil
}
