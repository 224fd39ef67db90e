package pairing

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/session"
)

// Prompter asks the device's owner.
type Prompter interface {
	// PairingPasscode returns what the owner reads on the reader's display
	// (step 420), spaces and hyphens allowed. retry is true when the last
	// entry was wrong; the reader then displays another passcode. An error
	// ends the pairing. The context ends with the reader's session.
	PairingPasscode(ctx context.Context, retry bool) (string, error)
}

// DeviceConfig is what Pair needs. All but Now are required.
type DeviceConfig struct {
	Name     string // what the reader is told
	Identity keyring.Identity
	Dialer   link.Dialer
	Prompter Prompter
	Peers    Peers
	Logger   *slog.Logger
	Now      func() time.Time // default time.Now
	Session  session.DialConfig
}

// maxWait bounds how long a reader can make the device wait between two guesses.
const maxWait = time.Minute

// Pair runs FIG. 4 on the device, from step 414 on: it dials the reader with
// that address, has the owner asked for the passcode until it is right or
// somebody gives up, and pins the reader's key once the reader has proved that
// it knows the passcode and has acknowledged (422). It does not matter whether
// either side still holds an older pairing.
//
// The error wraps link.ErrUnreachable, session.ErrPairingClosed, session.ErrBusy,
// keyring.ErrWrongPasscode (along with what ended the attempts), the Prompter's
// error or the context's. Nothing is pinned then.
func Pair(ctx context.Context, cfg DeviceConfig, a link.Address) (keyring.Peer, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Session.Identity, cfg.Session.Pin = cfg.Identity.Signer(), nil
	run := &deviceRun{cfg: cfg, address: a}
	defer run.hangUp()
	state, action := deviceState{}.step(deviceEvent{kind: begun})
	for action != stop {
		event := run.perform(ctx, action, state.retry())
		next, following := state.step(event)
		cfg.Logger.Info("pairing", "was", state.phase, "is", next.phase, "event", event.kind, "wrong", next.wrong)
		state, action = next, following
	}
	if state.err != nil {
		return keyring.Peer{}, fmt.Errorf("cannot pair with %s: %w", a, state.err)
	}
	return run.peer, nil
}

// deviceRun is what the actions of one Pair share.
type deviceRun struct {
	cfg     DeviceConfig
	address link.Address

	session  *session.PairingSession
	reader   string // its name
	passcode string
	prover   *keyring.Prover
	proof    []byte // KE3
	pause    time.Duration
	peer     keyring.Peer
}

func (d *deviceRun) hangUp() {
	if d.session != nil {
		_ = d.session.Close()
	}
}

func (d *deviceRun) perform(ctx context.Context, action deviceAction, retry bool) deviceEvent {
	switch action {
	case dial:
		return outcome(reached, d.dial(ctx))
	case ask:
		return outcome(asked, d.ask(ctx))
	case prompt:
		return d.prompt(ctx, retry)
	case prove:
		return d.prove(ctx)
	case wait:
		return d.wait(ctx)
	case finish:
		return d.finish(ctx)
	case pinReader:
		return outcome(pinned, d.cfg.Peers.PutPeer(d.peer))
	}
	return deviceEvent{kind: brokenOff, err: errImpossible}
}

func outcome(success deviceEventKind, err error) deviceEvent {
	if err != nil {
		return deviceEvent{kind: brokenOff, err: err}
	}
	return deviceEvent{kind: success}
}

func (d *deviceRun) dial(ctx context.Context) error {
	conn, err := d.cfg.Dialer.Dial(ctx, d.address)
	if err != nil {
		return err
	}
	d.session, err = session.DialPairing(ctx, conn, d.cfg.Session)
	return err
}

func (d *deviceRun) ask(ctx context.Context) error {
	name, err := d.session.Start(ctx, d.cfg.Name)
	d.reader = name
	return err
}

// prompt asks the owner, until the session ends.
func (d *deviceRun) prompt(ctx context.Context, retry bool) deviceEvent {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-d.session.Done():
			cancel(d.session.Err())
		case <-done:
		}
	}()
	typed, err := d.cfg.Prompter.PairingPasscode(ctx, retry)
	if ctx.Err() != nil {
		return outcome(entered, context.Cause(ctx))
	}
	if err != nil {
		return outcome(entered, err)
	}
	if d.passcode, err = keyring.NormalizePasscode(typed); err != nil {
		return deviceEvent{kind: misentered}
	}
	return outcome(entered, d.prepare())
}

// prepare binds the passcode to this TLS session and the two keys in it.
func (d *deviceRun) prepare() error {
	binding, err := keyring.Binding(d.session.Exporter(), d.public(), d.session.ReaderKey())
	if err != nil {
		return err
	}
	d.prover, err = keyring.NewProver(d.passcode, binding, keyring.NoStretch)
	d.passcode = ""
	return err
}

func (d *deviceRun) public() ed25519.PublicKey { return d.cfg.Identity.Public() }

// prove exchanges KE1 for KE2 and verifies that the reader knows the passcode.
func (d *deviceRun) prove(ctx context.Context) deviceEvent {
	ke2, err := d.session.Exchange(ctx, d.prover.KE1())
	if locked, ok := errors.AsType[*session.RemoteError](err); ok && locked.RetryAfter > 0 && locked.RetryAfter <= maxWait {
		d.pause = locked.RetryAfter
		return deviceEvent{kind: early}
	}
	if errors.Is(err, session.ErrWrongPasscode) {
		return deviceEvent{kind: refuted}
	}
	if err != nil {
		return outcome(proven, err)
	}
	d.proof, err = d.prover.Finish(ke2)
	if errors.Is(err, keyring.ErrWrongPasscode) {
		return deviceEvent{kind: refuted}
	}
	return outcome(proven, err)
}

// wait does what the reader asked for and proves again: the guess was not spent.
func (d *deviceRun) wait(ctx context.Context) deviceEvent {
	timer := time.NewTimer(d.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return d.prove(ctx)
	case <-d.session.Done():
		return outcome(early, d.session.Err())
	case <-ctx.Done():
		return outcome(early, context.Cause(ctx))
	}
}

// finish sends KE3 and waits for the reader's acknowledgement.
func (d *deviceRun) finish(ctx context.Context) deviceEvent {
	err := d.session.Finish(ctx, d.proof)
	if errors.Is(err, session.ErrWrongPasscode) {
		return deviceEvent{kind: refuted}
	}
	d.peer = keyring.NewPeer(d.session.ReaderKey(), d.reader, d.address.String(), d.cfg.Now())
	return outcome(acknowledge, err)
}
