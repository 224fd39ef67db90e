package pairing

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/session"
)

// Default settings of a Reader.
const (
	DefaultWindow     = 2 * time.Minute
	DefaultFirstDelay = time.Second
	DefaultMaxGuesses = 5
)

// Display is what the reader shows its owner. The calls come one after the
// other; they must return soon and not call the Reader.
type Display interface {
	// ShowAddress shows the address for the owner to enter at the device (412).
	ShowAddress(a link.Address)
	// ShowPasscode shows the passcode (418), grouped for reading, and what the
	// device calls itself, which proves nothing.
	ShowPasscode(passcode, device string)
	// ShowPaired says that the device was verified and is paired (422).
	ShowPaired(device string)
	// ShowFailed says that an attempt failed; left is how many wrong
	// passcodes this window still takes. With 0 the window is closed.
	ShowFailed(left int)
	// Clear ends what was shown: the window has closed.
	Clear()
}

// Peers stores a pin durably; a keyring.Keyring does.
type Peers interface {
	PutPeer(p keyring.Peer) error
}

// ReaderConfig is what a Reader needs. Zero settings take the defaults.
type ReaderConfig struct {
	Name     string              // what devices are told
	Address  func() link.Address // the link's own, as it is now
	Key      ed25519.PublicKey   // of the identity that the session.Server holds
	Peers    Peers
	Display  Display
	Logger   *slog.Logger
	Now      func() time.Time   // default time.Now
	Rand     io.Reader          // default crypto/rand.Reader
	OnPaired func(keyring.Peer) // may be nil; under the same terms as Display

	Window     time.Duration // how long the window stays open; default 2 min
	FirstDelay time.Duration // after the first wrong guess, doubling with each; default 1 s
	MaxGuesses int           // wrong ones that close the window; default 5
}

// Reader is the reader's side of FIG. 4. It is the session.PairingProvider of
// the reader's session.Server.
type Reader struct {
	cfg   ReaderConfig
	rules readerRules

	mu      sync.Mutex
	state   readerState
	changed chan struct{} // holds one: the state has changed
	current attempt
}

// attempt is what belongs to the session that is being paired.
type attempt struct {
	peer     session.PairingPeer
	device   string
	verifier *keyring.Verifier // nil: there is no passcode
	message  []byte            // KE1 or KE3 that has come
	reply    []byte            // KE2
}

// NewReader prepares the process; it starts nothing.
func NewReader(cfg ReaderConfig) (*Reader, error) {
	switch {
	case len(cfg.Key) != ed25519.PublicKeySize:
		return nil, errors.New("cannot prepare pairing: no identity")
	case cfg.Peers == nil || cfg.Display == nil || cfg.Logger == nil || cfg.Address == nil:
		return nil, errors.New("cannot prepare pairing: peers, display, logger or address is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	rules := readerRules{window: DefaultWindow, firstDelay: DefaultFirstDelay, maxGuesses: DefaultMaxGuesses}
	if cfg.Window > 0 {
		rules.window = cfg.Window
	}
	if cfg.FirstDelay > 0 {
		rules.firstDelay = cfg.FirstDelay
	}
	if cfg.MaxGuesses > 0 {
		rules.maxGuesses = cfg.MaxGuesses
	}
	return &Reader{cfg: cfg, rules: rules, changed: make(chan struct{}, 1)}, nil
}

// Run closes the window in time, until the context ends: then it closes it at
// once and returns the context's error.
func (r *Reader) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(r.untilClose())
		select {
		case <-ctx.Done():
			timer.Stop()
			r.Cancel()
			return context.Cause(ctx)
		case <-r.changed:
			timer.Stop()
		case <-timer.C:
			_ = r.handle(readerEvent{kind: ticked})
		}
	}
}

// untilClose is long while the window is closed: opening it wakes Run.
func (r *Reader) untilClose() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.phase == idle {
		return time.Hour
	}
	return max(0, r.state.closes.Sub(r.cfg.Now()))
}

// Press opens the pairing window (step 410), anew if it was open: whatever
// pairing was under way is over.
func (r *Reader) Press() { _ = r.handle(readerEvent{kind: pressed}) }

// Cancel closes the window.
func (r *Reader) Cancel() { _ = r.handle(readerEvent{kind: cancelled}) }

// Open implements session.PairingProvider.
func (r *Reader) Open() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.phase != idle && r.cfg.Now().Before(r.state.closes)
}

// Until is when the window closes; the zero time while it is closed.
func (r *Reader) Until() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.phase == idle {
		return time.Time{}
	}
	return r.state.closes
}

// Start implements session.PairingProvider: step 416 and, before it returns,
// step 418.
func (r *Reader) Start(_ context.Context, p session.PairingPeer, device string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.phase == addressShown {
		r.current = attempt{peer: p, device: device}
	}
	if err := r.run(readerEvent{kind: started, session: p.Session}); err != nil {
		return "", err
	}
	return r.cfg.Name, nil
}

// Exchange implements session.PairingProvider. From its answer on, the passcode
// is void unless Finish verifies it.
func (r *Reader) Exchange(_ context.Context, p session.PairingPeer, ke1 []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current.message, r.current.reply = ke1, nil
	if err := r.run(readerEvent{kind: guessed, session: p.Session}); err != nil {
		return nil, err
	}
	return r.current.reply, nil
}

// Finish implements session.PairingProvider: step 422.
func (r *Reader) Finish(_ context.Context, p session.PairingPeer, ke3 []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current.message = ke3
	return r.run(readerEvent{kind: proved, session: p.Session})
}

// Gone implements session.PairingProvider.
func (r *Reader) Gone(p session.PairingPeer) {
	_ = r.handle(readerEvent{kind: disconnected, session: p.Session})
}

func (r *Reader) handle(e readerEvent) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.run(e)
}
