package busapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// errNoAnswer is why a prompt ends when its time is over.
var errNoAnswer = errors.New("the owner did not answer in time")

// prompter asks the owner through agents: that of the caller it was made for,
// else the default ones.
type prompter struct {
	conn    *dbus.Conn
	agents  *agents
	log     *slog.Logger
	caller  string // empty: the daemon asks by itself
	timeout time.Duration
}

// passcodeDetails is the argument of Agent1.RequestPairingPasscode.
type passcodeDetails struct {
	Reader string `json:"reader"`
	Retry  bool   `json:"retry"`
}

// PairingPasscode implements Prompter (step 420).
func (p *prompter) PairingPasscode(ctx context.Context, reader string, retry bool) (string, error) {
	var code string
	details := serverCodec().encode(passcodeDetails{Reader: reader, Retry: retry})
	if err := p.ask(ctx, "RequestPairingPasscode", details, &code); err != nil {
		return "", fmt.Errorf("cannot get the pairing passcode: %w", err)
	}
	if len(code) > maxPasscode {
		return "", fmt.Errorf("%w: the agent's passcode is longer than %d bytes", ErrInvalidArguments, maxPasscode)
	}
	return strings.Join(strings.Fields(code), ""), nil // the display shows it in groups
}

// pinDetails is the argument of Agent1.RequestCardPin.
type pinDetails struct {
	Reader string `json:"reader"`
	Left   int64  `json:"left"`
	Retry  bool   `json:"retry"`
}

// CardPIN implements Prompter (step 618).
func (p *prompter) CardPIN(ctx context.Context, reader string, left int64, retry bool) (string, error) {
	var pin string
	details := serverCodec().encode(pinDetails{Reader: reader, Left: left, Retry: retry})
	if err := p.ask(ctx, "RequestCardPin", details, &pin); err != nil {
		return "", fmt.Errorf("cannot get the card's PIN: %w", err)
	}
	if len(pin) > maxPasscode {
		return "", fmt.Errorf("%w: the agent's PIN is longer than %d bytes", ErrInvalidArguments, maxPasscode)
	}
	return pin, nil
}

// newPasscodeDetails is the argument of Agent1.RequestNewPasscode.
type newPasscodeDetails struct {
	Change bool `json:"change"`
}

// NewPasscode implements Prompter.
func (p *prompter) NewPasscode(ctx context.Context, change bool) (string, error) {
	return p.secret(ctx, "RequestNewPasscode", serverCodec().encode(newPasscodeDetails{Change: change}))
}

// ownerDetails is the argument of Agent1.RequestPasscode.
type ownerDetails struct {
	Device string `json:"device"`
	Retry  bool   `json:"retry"`
}

// Passcode implements Prompter (step 618).
func (p *prompter) Passcode(ctx context.Context, device string, retry bool) (string, error) {
	return p.secret(ctx, "RequestPasscode", serverCodec().encode(ownerDetails{Device: device, Retry: retry}))
}

// secret asks for something that the owner knows, to the byte.
func (p *prompter) secret(ctx context.Context, method string, details Dict) (string, error) {
	var code string
	if err := p.ask(ctx, method, details, &code); err != nil {
		return "", fmt.Errorf("cannot get the passcode: %w", err)
	}
	if code = fromBus(code); len(code) > maxSecret {
		return "", fmt.Errorf("%w: the agent's passcode is longer than %d bytes", ErrInvalidArguments, maxSecret)
	}
	return code, nil
}

// ConfirmReprovision implements Prompter (step 622).
func (p *prompter) ConfirmReprovision(ctx context.Context, summary ReprovisionResult) (bool, error) {
	var yes bool
	dict := serverCodec().encode(summary.bounded(maxPrompt))
	if err := p.ask(ctx, "ConfirmReprovision", dict, &yes); err != nil {
		return false, fmt.Errorf("cannot get the owner's word: %w", err)
	}
	return yes, nil
}

// ask puts a question to one agent after the other until one answers.
func (p *prompter) ask(ctx context.Context, method string, arg Dict, answer any) error {
	for _, a := range p.agents.candidates(p.caller) {
		err := p.askOne(ctx, a, method, arg, answer)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrCanceled), errors.Is(err, ErrDeclined):
			return fmt.Errorf("%w: the prompt was canceled", ErrDeclined)
		case errors.Is(err, errNoAnswer):
			return fmt.Errorf("%w: %w", ErrNoAgent, err)
		case !cannotAnswer(err):
			return err
		}
		p.log.Info("an agent cannot answer", "method", method, "agent", a.sender, "error", err)
	}
	return ErrNoAgent
}

// cannotAnswer tells an agent that is gone, or has nobody to ask, from one that
// gave an answer.
func cannotAnswer(err error) bool {
	var remote *RemoteError
	return errors.Is(err, ErrInputNeeded) || errors.Is(err, ErrNotRunning) || errors.Is(err, ErrNotAllowed) ||
		errors.As(err, &remote) && errors.Is(err, ErrInvalidArguments) && remote.Name != errorPrefix+"InvalidArguments"
}

// askOne asks one agent, one question at a time. When the time is over or the
// question is moot, the agent hears Cancel.
func (p *prompter) askOne(ctx context.Context, a *agent, method string, arg Dict, answer any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, errNoAnswer)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	object := p.conn.Object(a.sender, a.path)
	err := object.CallWithContext(ctx, busfiles.AgentInterface+"."+method, 0, arg).Store(answer)
	if ctx.Err() != nil {
		object.Call(busfiles.AgentInterface+".Cancel", dbus.FlagNoReplyExpected)
		return context.Cause(ctx)
	}
	return fromBusError(err)
}
