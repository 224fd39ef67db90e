package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// maxWait is how long a restore waits until the reader takes the next passcode.
const maxWait = time.Minute

// entry is what the owner has entered, and what has become of it.
type entry struct {
	text    string
	retry   bool  // the one before was wrong
	left    int64 // tries, after it was wrong; -1: not known
	kind    string
	key     keyring.SlotKey
	session *session.Session // that the reader took it in; nil: it has not yet
}

// require tells whether a further passcode is required (step 616): for another
// device's data whose owner chose one. A look at what would be done asks for none.
func (r *restoreRun) require() reprovision.Event {
	switch {
	case r.from == nil || r.dry || !needsPasscode(*r.from):
		return reprovision.OpenAlready
	case r.entered != nil && r.entered.session == r.session:
		return reprovision.OpenAlready
	}
	return reprovision.NeedPasscode
}

// prompt asks the owner (step 618). Meanwhile other operations run.
func (r *restoreRun) prompt(ctx context.Context) (reprovision.Event, error) {
	if r.entered != nil && r.entered.session != nil {
		return reprovision.Entered, nil // it was right before the link went
	}
	if r.prompter == nil {
		return 0, busapi.ErrNoAgent
	}
	r.ticket.end()
	text, err := r.askEntry(ctx)
	if berr := r.again(ctx, rankUrgent); berr != nil {
		return 0, berr
	}
	if errors.Is(err, busapi.ErrDeclined) || errors.Is(err, busapi.ErrCanceled) {
		return reprovision.Declined, nil
	}
	if err != nil {
		return 0, err
	}
	r.entered = &entry{text: text, retry: r.entered != nil}
	return reprovision.Entered, nil
}

// askEntry asks for the passcode, or for the card's PIN where that is the passcode. The
// recovery code does in place of either.
func (r *restoreRun) askEntry(ctx context.Context) (string, error) {
	retry, left, byPIN := r.entered != nil, int64(-1), hasSlot(*r.from, keyring.SlotCardPIN)
	if byPIN {
		left = triesLeft(r.keeper.card())
	}
	if retry {
		left = r.entered.left
	}
	if !byPIN {
		return r.prompter.Passcode(ctx, userdata.Printable(r.from.Owner), left, retry)
	}
	return r.askPIN(ctx, r.prompter, left, retry)
}

// verify has the reader check what was entered, without telling it (step 620).
func (r *restoreRun) verify(ctx context.Context) (reprovision.Event, error) {
	s, err := r.keeper.wait(ctx)
	if err != nil {
		return 0, err
	}
	r.session = s
	err = r.unlock(ctx)
	switch {
	case err == nil:
		return reprovision.Accepted, nil
	case errors.Is(err, keyring.ErrWrongPasscode), errors.Is(err, session.ErrWrongPasscode):
		r.entered.session, r.entered.left = nil, -1
		if wrong, ok := errors.AsType[*session.RemoteError](err); ok {
			r.entered.left = int64(wrong.Left)
		}
		if r.entered.kind == keyring.SlotCardPIN {
			r.entered.left = r.wrongPIN(err)
		}
		return reprovision.Rejected, nil
	case errors.Is(err, session.ErrLockedOut):
		if r.refusal = err; r.entered.kind == keyring.SlotCardPIN {
			r.refusal = pinError(err)
		}
		return reprovision.LockedOut, nil
	case errors.Is(err, session.ErrDisconnected):
		r.entered.session = nil
	}
	return 0, err
}

// unlock runs the ceremony for the slot that the entry is for. An entry that is a
// recovery code, checksum and all, is taken for one.
func (r *restoreRun) unlock(ctx context.Context) error {
	e := r.entered
	secret := e.text
	e.kind = keyring.SlotPasscode
	if hasSlot(*r.from, keyring.SlotCardPIN) {
		e.kind = keyring.SlotCardPIN
	}
	if code, err := keyring.NormalizeRecoveryCode(e.text); err == nil {
		secret, e.kind = code, keyring.SlotRecovery
	}
	if !hasSlot(*r.from, e.kind) {
		return fmt.Errorf("%w: these data have no %s", keyring.ErrWrongPasscode, e.kind)
	}
	if e.kind == keyring.SlotCardPIN {
		return r.unlockByCard(ctx)
	}
	at := session.Entry{Vault: r.from.ID, Kind: e.kind}
	binding, err := r.binding(at)
	if err != nil {
		return err
	}
	prover, err := keyring.NewProver(secret, binding, keyring.StretchOf(e.kind))
	if err != nil {
		return err
	}
	ke2, err := r.enter(ctx, at, prover.KE1())
	if err != nil {
		return err
	}
	ke3, exported, err := prover.FinishWithKey(ke2)
	if err != nil {
		return errors.Join(err, r.session.Prove(ctx, at, nil)) // the reader's display should say so
	}
	defer clear(exported)
	if e.key, err = keyring.NewSlotKey(e.kind, exported); err != nil {
		return err
	}
	if err := r.session.Prove(ctx, at, ke3); err != nil {
		return err
	}
	e.session = r.session
	return nil
}

// unlockByCard has the card verify what was entered, and takes what it gives away then.
func (r *restoreRun) unlockByCard(ctx context.Context) error {
	e := r.entered
	secret, err := r.session.VerifyPIN(ctx, r.from.ID, []byte(e.text))
	if err != nil {
		return err
	}
	defer clear(secret)
	if e.key, err = keyring.NewSlotKey(e.kind, secret); err != nil {
		return err
	}
	e.session = r.session
	return nil
}

func (r *restoreRun) binding(at session.Entry) ([]byte, error) {
	exporter, err := r.session.Exporter()
	if err != nil {
		return nil, err
	}
	id, err := r.keys.Identity()
	if err != nil {
		return nil, err
	}
	reader, err := r.keeper.reader()
	if err != nil {
		return nil, err
	}
	return keyring.UnlockBinding(exporter, id.Public(), reader.PublicKey, at.Vault, at.Kind)
}

// enter sends KE1, and waits where it is too early for that by no more than maxWait.
func (r *restoreRun) enter(ctx context.Context, at session.Entry, ke1 []byte) ([]byte, error) {
	for waited := time.Duration(0); ; {
		ke2, err := r.session.Unlock(ctx, at, ke1)
		remote, ok := errors.AsType[*session.RemoteError](err)
		if !ok || !errors.Is(err, session.ErrLockedOut) || remote.RetryAfter <= 0 || waited+remote.RetryAfter > maxWait {
			return ke2, err
		}
		waited += remote.RetryAfter
		if err := sleep(ctx, remote.RetryAfter); err != nil {
			return nil, err
		}
	}
}
