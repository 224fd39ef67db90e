package busapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/godbus/dbus/v5"

	busfiles "github.com/reprovision/reprovision/dbus"
)

// errNoAnswer is why a prompt ends when its time is over.
var errNoAnswer = errors.New("the owner did not answer in time")

// prompter asks the owner through agents: those of the caller it was made for, else
// the default ones. Its methods are in prompts.go.
type prompter struct {
	conn      *dbus.Conn
	agents    *agents
	questions *questions
	seats     seats
	log       *slog.Logger
	caller    func(context.Context) party
	patient   bool            // waits for an agent that can answer
	until     context.Context // its prompts end with it; nil for never
	timeout   time.Duration
}

// ask puts a question to one agent after the other until one answers. Where none
// can, a patient prompter waits for the next.
func (p *prompter) ask(ctx context.Context, kind, method string, arg Dict, answer any) error {
	if p.until != nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(p.until, func() { cancel(context.Cause(p.until)) })()
	}
	q, done := p.questions.ask(kind)
	defer done()
	for {
		arrived := p.agents.arrival()
		err := p.askAll(ctx, q, method, arg, answer)
		if !p.patient || !errors.Is(err, ErrNoAgent) || errors.Is(err, errNoAnswer) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-arrived:
		}
	}
}

func (p *prompter) askAll(ctx context.Context, q *question, method string, arg Dict, answer any) error {
	active := func(session dbus.ObjectPath) bool { return p.seats.active(ctx, session) }
	for _, a := range p.agents.candidates(p.caller(ctx), active) {
		err := p.askOne(ctx, q, a, method, arg, answer)
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
func (p *prompter) askOne(ctx context.Context, q *question, a *agent, method string, arg Dict, answer any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, errNoAnswer)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.questions.hand(q, true)
	defer p.questions.hand(q, false)
	object := p.conn.Object(a.sender, a.path)
	err := object.CallWithContext(ctx, busfiles.AgentInterface+"."+method, 0, arg).Store(answer)
	if ctx.Err() != nil {
		takeBack(object)
		return context.Cause(ctx)
	}
	return fromBusError(err)
}

// takeBack tells an agent that its question is moot, and waits until it has heard that:
// a late word would take back the next one.
func takeBack(object dbus.BusObject) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
	defer cancel()
	_ = object.CallWithContext(ctx, busfiles.AgentInterface+".Cancel", 0).Err // it may be gone
}
