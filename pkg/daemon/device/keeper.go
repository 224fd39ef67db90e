package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/session"
)

// keeper holds the session with the paired reader: it dials whenever the reader
// may be in range, waits longer after each failure, and dials anew when the
// session ends.
type keeper struct {
	keys   *keyring.Keyring
	dialer link.Dialer
	cfg    config.Device
	urgent func() bool               // the reader is needed soon
	plan   func() session.BackupPlan // when the next backup is due; nil for never
	failed func(error)               // told each time why there is no session; nil: nobody is
	log    *slog.Logger
	kick   chan struct{} // dial now

	mu       sync.Mutex
	session  *session.Session // nil while out of range
	hello    session.Hello    // the reader's, of this session
	told     bool             // in this session, of a plan for backups
	failure  error            // why there is no session
	failures uint64           // how often that was found out
	stop     func()           // ends the attempt under way
	aside    int              // pairings that need the link for themselves
	changed  chan struct{}    // closed and replaced at each change
}

func newKeeper(keys *keyring.Keyring, dialer link.Dialer, cfg config.Device, urgent func() bool, log *slog.Logger) *keeper {
	return &keeper{
		keys: keys, dialer: dialer, cfg: cfg, urgent: urgent, log: log,
		kick: make(chan struct{}, 1), stop: func() {}, changed: make(chan struct{}),
	}
}

// dialTime bounds one attempt to reach the reader.
const dialTime = 30 * time.Second

// run keeps the session until the context ends. up is called while each session
// lasts and returns when that ends; changed is told of each change of range.
func (k *keeper) run(ctx context.Context, up func(context.Context, *session.Session), changed func(inRange bool, why error)) error {
	wait := k.cfg.Link.RetryMin.Duration
	for ctx.Err() == nil {
		s, err := k.dial(ctx)
		if err == nil {
			wait = k.cfg.Link.RetryMin.Duration
			err = k.hold(ctx, s, up, changed)
		}
		k.fail(err)
		if k.failed != nil && ctx.Err() == nil {
			k.failed(err)
		}
		if !k.pause(ctx, wait) {
			wait = min(2*wait, k.cfg.Link.RetryMax.Duration)
		} else {
			wait = k.cfg.Link.RetryMin.Duration
		}
	}
	return ctx.Err()
}

// hold publishes a session, keeps it company and tells when it is gone.
func (k *keeper) hold(ctx context.Context, s *session.Session, up func(context.Context, *session.Session), changed func(bool, error)) error {
	greeting := k.greeting()
	hello, err := s.Hello(ctx, greeting)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	k.set(s, hello, greeting.Backup != session.BackupPlan{})
	changed(true, nil)
	inner, cancel := context.WithCancel(ctx)
	var company sync.WaitGroup
	company.Go(func() { up(inner, s) })
	select {
	case <-s.Done():
		err = s.Err()
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancel()
	k.set(nil, session.Hello{}, false)
	err = errors.Join(err, s.Close())
	company.Wait()
	changed(false, err)
	return err
}

// greeting is what the device says of itself.
func (k *keeper) greeting() session.Hello {
	h := session.Hello{Name: k.cfg.Name}
	if k.plan != nil {
		h.Backup = k.plan()
	}
	return h
}

// tell says it again, for something of it has changed. Of a plan that there is none of,
// a reader that was told of none need not hear again.
func (k *keeper) tell(ctx context.Context) error {
	s, greeting := k.current(), k.greeting()
	if s == nil || !k.tells(greeting.Backup != session.BackupPlan{}) {
		return nil // the next session begins with it
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	_, err := s.Hello(ctx, greeting)
	return err
}

// tells remembers whether there is a plan, and is false where there is and was none.
func (k *keeper) tells(plan bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.told
	k.told = plan
	return plan || was
}

// dial opens a session with the paired reader.
func (k *keeper) dial(ctx context.Context) (*session.Session, error) {
	reader, err := k.reader()
	if err != nil {
		return nil, err
	}
	address, err := link.ParseAddress(reader.Address)
	if err != nil {
		return nil, err
	}
	id, err := k.keys.Identity()
	if err != nil {
		return nil, err
	}
	attempt, end, err := k.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	s, err := k.reach(attempt, address, session.DialConfig{Identity: id.Signer(), Pin: reader.PublicKey})
	if err != nil && errors.Is(attempt.Err(), context.Canceled) && ctx.Err() == nil {
		err = errAside
	}
	return s, err
}

// errAside is why an attempt ended that a pairing was in need of the link for.
var errAside = errors.New("a pairing is under way")

func (k *keeper) reach(ctx context.Context, address link.Address, cfg session.DialConfig) (*session.Session, error) {
	conn, err := k.dialer.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return session.Dial(ctx, conn, cfg)
}

// begin bounds an attempt. It waits until no pairing needs the link: BlueZ makes
// one connection to a reader, and one attempt at a time.
func (k *keeper) begin(ctx context.Context) (context.Context, func(), error) {
	for {
		k.mu.Lock()
		changed := k.changed
		if k.aside == 0 {
			ctx, cancel := context.WithTimeout(ctx, dialTime)
			k.stop = cancel
			k.mu.Unlock()
			return ctx, func() { k.end(cancel) }, nil
		}
		k.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (k *keeper) end(cancel func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stop = func() {}
	cancel()
}

// stepAside leaves the link to a pairing with the reader at an address, until the
// pairing is over: the attempt under way ends, and so does a session with that
// very reader.
func (k *keeper) stepAside(address link.Address) (back func()) {
	k.mu.Lock()
	k.aside++
	s := k.session
	k.stop()
	k.mu.Unlock()
	if reader, err := k.reader(); s != nil && err == nil && reader.Address == address.String() {
		k.close(s)
	}
	return func() {
		k.mu.Lock()
		k.aside--
		k.wake()
		k.mu.Unlock()
		k.try()
	}
}

// reader is the reader that this device is paired with. It is one at a time.
func (k *keeper) reader() (keyring.Peer, error) {
	peers, err := k.keys.Peers()
	if err != nil {
		return keyring.Peer{}, err
	}
	if len(peers) == 0 {
		return keyring.Peer{}, busapi.ErrNotPaired
	}
	return peers[len(peers)-1], nil
}

// pause waits before the next attempt, with jitter, so that devices that lost
// the same reader do not all come back at once. It returns true when it was
// cut short by a kick.
func (k *keeper) pause(ctx context.Context, wait time.Duration) bool {
	var timer <-chan time.Time
	if _, err := k.reader(); err == nil {
		if k.urgent() {
			wait = min(wait, urgentWait)
		}
		t := time.NewTimer(wait/2 + rand.N(wait/2+1)) // #nosec G404 -- jitter is no secret
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
		return false
	case <-k.kick:
		return true
	case <-ctx.Done():
		return false
	}
}

// urgentWait is the longest wait between two attempts while something is damaged, or
// is off for want of the card.
const urgentWait = 30 * time.Second

// try makes the keeper dial now.
func (k *keeper) try() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// reset ends the session, if there is one, and dials anew: the paired reader is
// another one, or none.
func (k *keeper) reset() {
	if s := k.current(); s != nil {
		k.close(s)
	}
	k.try()
}

func (k *keeper) close(s *session.Session) {
	if err := s.Close(); err != nil {
		k.log.Debug("cannot close the session", "error", err)
	}
}

// probeTime is how long a reader has to give a sign of life.
const probeTime = 5 * time.Second

// probe ends a session whose reader gives no sign of life, and dials anew.
func (k *keeper) probe(ctx context.Context) {
	if s := k.current(); s != nil {
		bounded, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		if _, err := s.Hello(bounded, k.greeting()); err == nil {
			return
		}
		k.close(s)
	}
	k.try()
}

func (k *keeper) set(s *session.Session, hello session.Hello, told bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session, k.hello, k.told, k.failure = s, hello, told, nil
	k.wake()
}

func (k *keeper) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure == nil || err == nil || k.failure.Error() != err.Error() {
		k.log.Info("no session with the reader", "error", err)
	}
	k.failure = err
	k.failures++
	k.wake()
}

func (k *keeper) wake() {
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *keeper) current() *session.Session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.session
}

// readerRun is what tells the reader's daemon of this session from one that was
// started at another time; zero if it does not tell.
func (k *keeper) readerRun() session.ID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hello.Run
}

// card is what the reader last said of its card.
func (k *keeper) card() session.CardState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hello.Card
}

// setTries notes how many tries the card's PIN has left; -1 if that is not known.
func (k *keeper) setTries(left int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hello.Card.PIN = session.PINTries{Known: left >= 0, Left: uint32(max(left, 0))}
}

func (k *keeper) setCard(c session.CardState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hello.Card = c
}

// why tells why there is no session; nil while there is one.
func (k *keeper) why() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session != nil {
		return nil
	}
	return k.failure
}

// patience is how long an operation that the owner asked for waits for the
// reader to come into range. An attempt that is under way then is waited for.
const patience = 5 * time.Second

// wait returns the session as soon as there is one.
func (k *keeper) wait(ctx context.Context) (*session.Session, error) {
	if _, err := k.reader(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	enough := time.After(patience)
	s, before, changed := k.look()
	k.try()
	for patient := true; s == nil; {
		select {
		case <-changed:
		case <-enough:
			patient = false
		case <-ctx.Done():
			return nil, k.absence(ctx)
		}
		var failures uint64
		if s, failures, changed = k.look(); s == nil && !patient && failures > before {
			return nil, k.absence(ctx)
		}
	}
	return s, nil
}

func (k *keeper) look() (s *session.Session, failures uint64, changed <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.session, k.failures, k.changed
}

// absence says why waiting for the reader was in vain.
func (k *keeper) absence(ctx context.Context) error {
	err := k.why()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, session.ErrNotPaired), errors.Is(err, session.ErrWrongPeer):
		return fmt.Errorf("%w: %w", busapi.ErrNotPaired, err)
	case err == nil:
		return busapi.ErrOutOfRange
	case unusable(err):
		return fmt.Errorf("%w: %w", busapi.ErrNoLink, err)
	}
	return fmt.Errorf("%w: %w", busapi.ErrOutOfRange, err)
}
