package device

import (
	"context"
	"errors"
	"time"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// attests has the card prove itself whenever there is a reason to ask, and, where it
// keeps functions of the device on, at each heartbeat (claim 4), until the context ends.
func (d *Daemon) attests(ctx context.Context, s *session.Session, due <-chan struct{}) {
	beat, stop := d.guard.beat()
	defer stop()
	eachProof(ctx, due, d.guard.doubt, beat, func(news bool) bool {
		defer d.guard.check()
		return d.heartbeat(ctx, s, news)
	})
}

// duePause is the least time between two proofs for the sake of what a reader tells: it
// may tell as often as it likes, and a card takes its time.
const duePause = time.Second

// eachProof has the card prove itself for one reason at a time. Neither the device's own
// doubt nor a heartbeat waits for what is due.
func eachProof(ctx context.Context, due, doubt <-chan struct{}, beat <-chan time.Time, heartbeat func(news bool) bool) {
	var rested <-chan time.Time
	for news, heard := false, due; ; {
		select {
		case <-heard:
			news, heard, rested = true, nil, time.After(duePause)
		case <-rested:
			heard, rested = due, nil
			continue
		case <-doubt:
			news = true
		case <-beat:
		case <-ctx.Done():
			return
		}
		if heartbeat(news) {
			news = false // else there still is some
		}
	}
}

// attest has the card in the reader prove that it is the owner's, if there is one.
func (d *Daemon) attest(ctx context.Context, s *session.Session) { _ = d.heartbeat(ctx, s, true) }

// heartbeat is attest; news says whether there is any, so that an answer that is the
// same as ever is told. It returns whether there was an answer.
func (d *Daemon) heartbeat(ctx context.Context, s *session.Session, news bool) bool {
	bounded, cancel := context.WithTimeout(ctx, d.guard.answerTime())
	defer cancel()
	state, err := d.prove(bounded, s, news)
	if err != nil {
		d.log.Debug("no proof of the card", "error", err)
	}
	if state == cardAuthorized && d.guard.cfg.Governing() { // what it was given just now it has to show
		_, err = d.prove(bounded, s, false)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, session.ErrDisconnected) {
		d.guard.missed(d.noProof(err))
	}
	return err == nil
}

// noProof is what an error of a challenge says of the card.
func (d *Daemon) noProof(err error) authorization.Reason {
	switch {
	case errors.Is(err, session.ErrNoVault):
		return authorization.NoRecord
	case errors.Is(err, session.ErrCard) && d.keeper.card().Status == session.CardNone:
		return authorization.CardOut
	}
	return authorization.NoAnswer
}

// The outcomes of a proof. The first card that is in the reader after a pairing is
// taken for the owner's; so is each one that has the same key after it was formatted.
const (
	cardAuthorized = "authorized" // taken for the owner's just now
	cardProven     = "proven"
	cardOther      = "other"
	cardUnproven   = "unproven" // the owner's data, without its key
	cardBare       = "bare"     // the owner's, and no record is on it yet: a blank one, before the first backup
)

// prove has the card in the reader answer a challenge, says in a word whose it is,
// and, if that is news, tells whoever listens; empty where there is no vault that a card could hold.
func (d *Daemon) prove(ctx context.Context, s *session.Session, news bool) (string, error) {
	select {
	case d.proofs <- struct{}{}:
		defer func() { <-d.proofs }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	asked := d.guard.now().Up
	a, err := d.challenge(ctx, s)
	if err == nil && a == nil {
		d.guard.missed(authorization.NoRecord)
	}
	if err != nil || a == nil {
		return "", err
	}
	state, err := d.judge(ctx, s, a, news)
	if err != nil {
		d.log.Error("cannot judge the card's proof", "error", err)
		return "", err
	}
	d.guard.judged(state, asked)
	if !news && (state == cardProven || state == cardBare) {
		return state, nil
	}
	d.log.Info("the card was asked for a proof", "state", state, "card", a.proof.Card.Identity, "key", a.proof.Card.Key != nil)
	d.event("authorization", map[string]any{"card": state, "identity": a.proof.Card.Identity, "key": a.proof.Card.Key != nil})
	return state, nil
}

// answer is what came back for a challenge.
type answer struct {
	device    keyring.Identity
	vault     opened
	challenge []byte
	key       []byte // of the card, as it was sent
	proof     authorization.Proof
}

// challenge asks once; nil where there is no vault that a card could hold.
func (d *Daemon) challenge(ctx context.Context, s *session.Session) (*answer, error) {
	v, have, err := d.own()
	if err != nil || !have {
		return nil, err
	}
	id, err := d.keys.Identity()
	if err != nil {
		return nil, err
	}
	challenge, err := authorization.NewChallenge()
	if err != nil {
		return nil, err
	}
	a, err := s.Attest(ctx, v.id, challenge)
	if err != nil {
		return nil, err
	}
	key, err := authorization.ParseKey(a.Key)
	if err != nil {
		return nil, err
	}
	c := authorization.Card{Identity: a.Identity, Key: key}
	return &answer{
		device: id, vault: v, challenge: challenge, key: a.Key,
		proof: authorization.Proof{Card: c, Record: a.Record, Signature: a.Signature},
	}, nil
}

// judge says in a word whose card answered. Where there is news of the card, one that has
// no record is given one.
func (d *Daemon) judge(ctx context.Context, s *session.Session, a *answer, news bool) (string, error) {
	owners, known, err := d.ownersCard()
	if err != nil {
		return "", err
	}
	if !known {
		owners = a.proof.Card
	}
	owner := authorization.Owner{Device: a.device.Public(), Vault: a.vault.id, Card: owners}
	err = owner.Verify(a.challenge, a.proof)
	switch {
	case errors.Is(err, authorization.ErrOtherCard):
		return cardOther, nil
	case errors.Is(err, authorization.ErrUnproven):
		return cardUnproven, nil
	case err == nil && known:
		return cardProven, nil
	case !news:
		return cardBare, nil
	}
	return cardAuthorized, d.authorize(ctx, s, a, err != nil)
}

// authorize pins a card, and has a record of it put on it where it has none.
func (d *Daemon) authorize(ctx context.Context, s *session.Session, a *answer, record bool) error {
	if err := d.keys.PinCard(keyring.Card{Identity: a.proof.Card.Identity, Key: a.key, Pinned: d.now()}); err != nil {
		return err
	}
	if !record {
		return nil
	}
	made, err := authorization.NewRecord(a.device, a.vault.id, a.proof.Card, d.now())
	if err != nil {
		return err
	}
	_, err = s.Authorize(ctx, a.vault.id, made)
	return err
}

// ownersCard is the card that was pinned; false for none.
func (d *Daemon) ownersCard() (authorization.Card, bool, error) {
	pinned, err := d.keys.Card()
	if errors.Is(err, keyring.ErrNoCard) {
		return authorization.Card{}, false, nil
	}
	if err != nil {
		return authorization.Card{}, false, err
	}
	key, err := authorization.ParseKey(pinned.Key)
	return authorization.Card{Identity: pinned.Identity, Key: key}, err == nil, err
}
