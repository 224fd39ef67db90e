//go:build cgo

package pcsc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
)

// Backoff between attempts at a card that another program holds.
const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 500 * time.Millisecond
)

// endTimeout is how long the end of a transaction is waited for.
const endTimeout = 5 * time.Second

// minAPDU is the size of the smallest command APDU and minAnswer that of the
// smallest response APDU, in bytes.
const (
	minAPDU   = 4
	minAnswer = 2
)

// session is one transaction with a card: a context, a connection and the
// transaction proper. It implements card.Channel.
type session struct {
	worker *worker
	card   *scard.Card // belongs to the worker's goroutine, as do begun and lost
	begun  bool
	lost   bool // the card was taken out or lost its power, and so forgot its PIN

	limit  time.Duration // for one APDU
	reader string
	more   bool // there are other readers to try
	atr    []byte
	t0     bool
	failed error // of Transmit; the session is of no use afterwards
	stuck  bool  // the service hangs
	opened bool  // a PIN was shown to the card, which is to forget that
}

// openSession connects to the first card among the readers that order lists, and
// begins a transaction. After an error the session ends by itself; release is
// called in any case, once PC/SC has nothing of it any more.
func (r *Reader) openSession(ctx context.Context, order func([]string) []string, release func()) (*session, error) {
	s := &session{worker: startWorker(), limit: r.config.APDUTimeout}
	err := s.connect(ctx, order, r.config.ServiceTimeout)
	if err == nil {
		err = s.begin(ctx)
	}
	if err != nil {
		r.endSession(s, release)
		return nil, cardError(err)
	}
	return s, nil
}

// connect finds a reader with a card and connects to it. What needs no card is not
// waited for longer than service says.
func (s *session) connect(ctx context.Context, order func([]string) []string, service time.Duration) error {
	var names []string
	bounded, cancel := context.WithTimeout(ctx, service)
	defer cancel()
	err := s.worker.do(bounded, func() (err error) {
		if err = s.worker.establish(); err == nil {
			names, err = listReaders(s.worker.context)
		}
		return err
	})
	if s.stuck = s.worker.abandoned; s.stuck || ctx.Err() != nil {
		return late(ctx)
	}
	if err != nil {
		return err
	}
	list := order(names)
	if s.more = len(list) > 1; len(list) == 0 {
		return card.ErrNoReader
	}
	return s.retry(ctx, func() error { return s.connectTo(list) })
}

// connectTo connects to the first card that no other program has to itself. It
// runs on the worker. If there is none, but one that is held, the error says so.
func (s *session) connectTo(readers []string) (err error) {
	var busy error
	for _, s.reader = range readers {
		s.card, err = s.worker.context.Connect(s.reader, scard.ShareShared, scard.ProtocolAny)
		switch {
		case isCode(err, scard.ErrSharingViolation, scard.ErrResetCard):
			busy = err
		case !isCode(err, scard.ErrNoSmartcard):
			return err
		}
	}
	if busy != nil {
		return busy
	}
	return err
}

// retry makes a call on the worker until it no longer finds the card in use.
func (s *session) retry(ctx context.Context, call func() error) error {
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		err := s.worker.do(ctx, call)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !isCode(err, scard.ErrSharingViolation, scard.ErrResetCard) {
			return err
		}
		if !sleep(ctx, wait) {
			return waited(ctx, card.ErrBusy)
		}
	}
}

// begin starts the transaction. A reset by another program in between shows
// here, once, and only asks for a new connection.
func (s *session) begin(ctx context.Context) error {
	var status *scard.CardStatus
	err := s.retry(ctx, func() (err error) {
		status, err = s.beginOnce()
		return err
	})
	if err != nil {
		return err
	}
	return s.learn(status)
}

// beginOnce runs on the worker.
func (s *session) beginOnce() (*scard.CardStatus, error) {
	err := s.card.BeginTransaction()
	if isCode(err, scard.ErrResetCard) {
		if again := s.card.Reconnect(scard.ShareShared, scard.ProtocolAny, scard.LeaveCard); again != nil {
			return nil, again
		}
		err = s.card.BeginTransaction()
	}
	if err != nil {
		return nil, err
	}
	s.begun = true
	status, err := s.card.Status()
	if err == nil && status.ActiveProtocol == scard.ProtocolUndefined {
		err = scard.ErrResetCard // it is being powered up: only a new connection settles a protocol
	}
	if err == nil {
		return status, nil
	}
	s.begun = false
	_ = s.card.EndTransaction(scard.LeaveCard) // the error before says more
	if isCode(err, scard.ErrResetCard) {
		if again := s.card.Reconnect(scard.ShareShared, scard.ProtocolAny, scard.LeaveCard); again != nil {
			return nil, again
		}
	}
	return nil, err
}

// learn keeps what the card said of itself.
func (s *session) learn(status *scard.CardStatus) error {
	s.atr = bytes.Clone(status.Atr)
	switch status.ActiveProtocol {
	case scard.ProtocolT0:
		s.t0 = true
	case scard.ProtocolT1:
	default: // Transmit would panic
		return fmt.Errorf("%w: protocol %d", card.ErrUnsupported, status.ActiveProtocol)
	}
	return nil
}

// ATR implements card.Channel.
func (s *session) ATR() []byte { return bytes.Clone(s.atr) }

// T0 implements card.Channel.
func (s *session) T0() bool { return s.t0 }

// Transmit implements card.Channel. After an error the transaction is over: the
// card may be another one by now, or still busy with the command.
func (s *session) Transmit(ctx context.Context, apdu []byte) ([]byte, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	if len(apdu) < minAPDU {
		return nil, fmt.Errorf("cannot transmit: command of %d bytes", len(apdu))
	}
	limited, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	s.opened = s.opened || shows(apdu)
	var answer []byte
	command := bytes.Clone(apdu) // the caller may go on before the card has answered
	err := s.worker.do(limited, func() error {
		got, err := s.card.Transmit(command)
		if err == nil && len(got) < minAnswer { // seen when the card is pulled meanwhile
			err = card.ErrRemoved
		}
		answer, s.lost = got, s.lost || lost(err)
		return err
	})
	if err == nil {
		return answer, nil
	}
	switch {
	case s.worker.abandoned && limited.Err() != nil:
		err = waited(limited, card.ErrTimeout)
	case isCode(err, scard.ErrProtoMismatch, scard.ErrUnpoweredCard):
		// The protocol was settled before: another program's reset is under way.
		// Only that is its meaning: no profile is to take the card for another kind.
		err = fmt.Errorf("%w: %v", card.ErrRemoved, err) //nolint:errorlint // the code would say ErrUnsupported
	}
	s.failed = fmt.Errorf("cannot transmit: %w", cardError(err))
	return nil, s.failed
}

// shows tells whether a command shows the card a PIN: VERIFY, CHANGE REFERENCE
// DATA and the like. What that opens stays open until the card is reset, for every
// program that uses it: even selecting the application anew keeps it (SP 800-73-4
// part 2, 3.1.1). Without data, VERIFY only asks for the tries.
func shows(apdu []byte) bool {
	switch apdu[1] {
	case 0x20, 0x24, 0x26, 0x28, 0x2C:
		return len(apdu) > minAPDU+1
	}
	return false
}

// lost tells whether an error means that the card has no power any more, or had
// none for a moment.
func lost(err error) bool {
	return errors.Is(err, card.ErrRemoved) || isCode(err, scard.ErrRemovedCard, scard.ErrResetCard, scard.ErrNoSmartcard, scard.ErrUnpoweredCard)
}

// end ends the transaction and the connection, leaves the card powered, and
// calls release when that is done. It waits for that, unless a call is stuck: then
// all of it is done when that returns.
func (s *session) end(release func()) {
	s.worker.end(func() {
		defer release()
		s.disconnect()
	})
	if s.worker.abandoned {
		return
	}
	select {
	case <-s.worker.done:
	case <-time.After(endTimeout):
		s.stuck = true
	}
}

// endSession ends a session of the turn.
func (r *Reader) endSession(s *session, release func()) {
	s.end(release)
	if s.stuck {
		r.stick()
	}
}

// disconnect runs on the worker, last. A card that was shown a PIN is reset before
// anybody else can use it, however the transaction went: it may have taken a PIN
// whose answer nobody waited for. One that was pulled has forgotten it, and
// pcsc-lite takes a reset of it for a removal, which hides that another card is in
// soon after. pcscd does the same for a program that dies.
func (s *session) disconnect() {
	after := scard.LeaveCard
	if s.opened && !s.lost {
		after = scard.ResetCard
	}
	if s.begun {
		if err := s.card.EndTransaction(after); err == nil || lost(err) {
			after = scard.LeaveCard
		}
	}
	if s.card != nil {
		_ = s.card.Disconnect(after) // an error means that it is gone already
	}
}

// sleep waits and tells whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

var _ card.Channel = (*session)(nil)
