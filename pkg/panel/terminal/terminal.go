package terminal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/keep"
	"github.com/reprovision/reprovision/pkg/panel/picture"
)

// DefaultCheck is how often the terminal is drawn again.
const DefaultCheck = 5 * time.Second

// patience is how long a terminal may take one frame: one that was stopped (Ctrl+S)
// takes none.
const patience = 2 * time.Second

// Config is what a Screen needs. Zero times take the defaults.
type Config struct {
	Display *panel.Display
	Path    string // of the terminal
	Logger  *slog.Logger
	Retry   time.Duration // after a fault; default keep.DefaultRetry
	Check   time.Duration // draw again, over what others wrote and in the size that it has
}

// Screen is a terminal. Run is for once.
type Screen struct {
	cfg  Config
	draw *picture.Renderer
}

// New makes a screen; it starts nothing.
func New(cfg Config) (*Screen, error) {
	if cfg.Display == nil || cfg.Path == "" || cfg.Logger == nil {
		return nil, errors.New("cannot prepare the terminal: display, path or logger is missing")
	}
	if cfg.Check <= 0 {
		cfg.Check = DefaultCheck
	}
	draw, err := picture.New()
	return &Screen{cfg: cfg, draw: draw}, err
}

// Run shows the display until the context ends, and returns its error.
func (s *Screen) Run(ctx context.Context) error {
	d := keep.Device{Name: s.cfg.Path, Retry: s.cfg.Retry, Logger: s.cfg.Logger, Session: s.session}
	return d.Run(ctx)
}

// session uses the terminal for as long as it is there.
func (s *Screen) session(ctx context.Context, works func()) error {
	f, err := os.OpenFile(s.cfg.Path, os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, err := size(f); err != nil {
		return fmt.Errorf("%s is no terminal: %w", s.cfg.Path, err)
	}
	defer s.write(f, leave)
	views, stop := s.cfg.Display.Watch()
	defer stop()
	view := <-views // there is one at once
	for start := enter; ; start = "" {
		columns, rows, err := size(f)
		if err != nil {
			return err
		}
		if err := s.write(f, start+frame(s.draw, view, columns, rows)); err != nil {
			return err
		}
		works()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case view = <-views:
		case <-time.After(s.cfg.Check):
		}
	}
}

// size asks a terminal how large it is. (Fd would make writing to it block.)
func size(f *os.File) (columns, rows int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	cerr := raw.Control(func(fd uintptr) { columns, rows, err = term.GetSize(int(fd)) })
	return columns, rows, errors.Join(cerr, err)
}

func (s *Screen) write(f *os.File, text string) error {
	if err := f.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := f.WriteString(text)
	return err
}
