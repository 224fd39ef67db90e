package button

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/reprovision/reprovision/pkg/panel/keep"
)

// DefaultLong is when a press is a long one.
const DefaultLong = 2 * time.Second

// Source is a device with a contact.
type Source interface {
	// Follow calls edge with true when the contact closes and with false when it opens,
	// one call at a time. It returns when ctx ends, or why the device cannot be used
	// any more; begun is called when it can be used.
	Follow(ctx context.Context, begun func(), edge func(down bool)) error
	// Bounce is how long a level must last to count.
	Bounce() time.Duration
	// String names the device for the log.
	String() string
}

// Config is what a Button needs. Zero times take the defaults.
type Config struct {
	Source Source
	Press  func(Press) // called for each press, one after the other
	Long   time.Duration
	Logger *slog.Logger
	Retry  time.Duration // after a fault; default keep.DefaultRetry
}

// Button is a button. Run is for once.
type Button struct{ cfg Config }

// New makes a button; it starts nothing.
func New(cfg Config) (*Button, error) {
	if cfg.Source == nil || cfg.Press == nil || cfg.Logger == nil {
		return nil, errors.New("cannot prepare the button: source, action or logger is missing")
	}
	if cfg.Long <= 0 {
		cfg.Long = DefaultLong
	}
	return &Button{cfg: cfg}, nil
}

// Run follows the button until the context ends, and returns its error.
func (b *Button) Run(ctx context.Context) error {
	d := keep.Device{Name: b.cfg.Source.String(), Retry: b.cfg.Retry, Logger: b.cfg.Logger, Session: b.session}
	return d.Run(ctx)
}

// session uses the device for as long as it is there. What was held when it went is no
// press.
func (b *Button) session(ctx context.Context, works func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	edges, ended := make(chan bool), make(chan error, 1)
	go func() {
		ended <- b.cfg.Source.Follow(ctx, works, func(down bool) {
			select {
			case edges <- down:
			case <-ctx.Done():
			}
		})
	}()
	return b.follow(edges, ended)
}

func (b *Button) follow(edges <-chan bool, ended <-chan error) error {
	g := gesture{long: b.cfg.Long, bounce: b.cfg.Source.Bounce()}
	for {
		var timer <-chan time.Time
		if wait := g.wait(time.Now()); wait >= 0 {
			timer = time.After(wait)
		}
		var press Press
		select {
		case err := <-ended:
			return err
		case down := <-edges:
			press = g.edge(down, time.Now())
		case <-timer:
			press = g.tick(time.Now())
		}
		if press != None {
			b.cfg.Press(press)
		}
	}
}
