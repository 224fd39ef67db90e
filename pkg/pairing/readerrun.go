package pairing

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// run takes a step and carries out its effects, which can lead to further
// steps. The first refusal is what the caller gets.
func (r *Reader) run(e readerEvent) error {
	if e.at.IsZero() {
		e.at = r.cfg.Now()
	}
	before := r.state
	next, effects, refusal := r.state.step(e, r.rules)
	r.state = next
	if before.phase != next.phase {
		r.cfg.Logger.Info("pairing", "was", before.phase, "is", next.phase, "event", e.kind, "session", next.session, "wrong", next.wrong)
	}
	for _, effect := range effects {
		follows, err := r.perform(effect)
		if follows != nil {
			// At the same instant: what was begun in time is not too late.
			follows.session, follows.at = next.session, e.at
			if serr := r.run(*follows); err == nil {
				err = serr
			}
		}
		if refusal == nil {
			refusal = err
		}
	}
	r.wake()
	return refusal
}

func (r *Reader) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// perform carries out one effect. It returns the event that follows from it, and
// the error that the device's call gets.
func (r *Reader) perform(effect readerEffect) (*readerEvent, error) {
	switch effect {
	case showAddress:
		r.cfg.Display.ShowAddress(r.cfg.Address())
	case drawPasscode:
		return r.draw()
	case voidPasscode:
		r.current.verifier = nil
	case answerKE1:
		return r.answer()
	case verifyKE3:
		return r.verify()
	case storeKey:
		return r.store()
	case showPaired:
		r.cfg.Display.ShowPaired(r.current.device)
	case showFailed:
		r.cfg.Display.ShowFailed(r.guessesLeft())
	case clearDisplay:
		r.cfg.Display.Clear()
	}
	return nil, nil
}

func (r *Reader) guessesLeft() int {
	if r.state.phase == idle {
		return 0
	}
	return r.rules.maxGuesses - r.state.wrong
}

// draw makes a passcode, its one-time OPAQUE record, and displays it.
func (r *Reader) draw() (*readerEvent, error) {
	passcode, err := keyring.NewPasscode(r.cfg.Rand)
	if err != nil {
		return &readerEvent{kind: stuck}, err
	}
	binding, err := keyring.Binding(r.current.peer.Exporter, r.current.peer.Key, r.cfg.Key)
	if err != nil {
		return &readerEvent{kind: stuck}, err
	}
	r.current.verifier, err = keyring.NewVerifier(passcode, binding, keyring.NoStretch)
	if err != nil {
		return &readerEvent{kind: stuck}, err
	}
	r.cfg.Display.ShowPasscode(keyring.FormatPasscode(passcode), r.current.device)
	return &readerEvent{kind: displayed}, nil
}

func (r *Reader) answer() (*readerEvent, error) {
	if r.current.verifier == nil {
		return &readerEvent{kind: mismatched}, session.ErrWrongPasscode
	}
	reply, err := r.current.verifier.Respond(r.current.message)
	if err != nil {
		return &readerEvent{kind: mismatched}, fmt.Errorf("%w: %w", session.ErrBadRequest, err)
	}
	r.current.reply = reply
	return nil, nil
}

func (r *Reader) verify() (*readerEvent, error) {
	if r.current.verifier == nil || r.current.verifier.Finish(r.current.message) != nil {
		return &readerEvent{kind: mismatched}, session.ErrWrongPasscode
	}
	return &readerEvent{kind: matched}, nil
}

// store pins the key that the device holds in this very session.
func (r *Reader) store() (*readerEvent, error) {
	peer := keyring.NewPeer(r.current.peer.Key, r.current.device, r.current.peer.Address.Text(), r.cfg.Now())
	if err := r.cfg.Peers.PutPeer(peer); err != nil {
		r.cfg.Logger.Error("cannot pin the device", "error", err)
		return &readerEvent{kind: stuck}, err
	}
	r.cfg.Logger.Info("paired", "device", peer.ID)
	if r.cfg.OnPaired != nil {
		r.cfg.OnPaired(peer)
	}
	return &readerEvent{kind: stored}, nil
}
