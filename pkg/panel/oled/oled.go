package oled

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/devices/v3/ssd1306"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/keep"
	"github.com/reprovision/reprovision/pkg/panel/picture"
)

// DefaultAddress is that of most displays; some have 0x3D.
const DefaultAddress = 0x3C

// DefaultCheck is how often is looked whether the display is still there.
const DefaultCheck = 5 * time.Second

// Config is what a Screen needs. Zero times take the defaults, but for Dim and Off.
type Config struct {
	Display *panel.Display
	Open    func() (i2c.BusCloser, error) // the bus
	Address uint16                        // of the display; default DefaultAddress
	Rotate  bool                          // by half a turn
	Dim     time.Duration                 // dimmed when nothing new was shown for that long; 0 never
	Off     time.Duration                 // and switched off; 0 never
	Logger  *slog.Logger
	Retry   time.Duration // after a fault; default keep.DefaultRetry
	Check   time.Duration // whether the display is still there
}

// Screen is an OLED. Run is for once.
type Screen struct {
	cfg  Config
	draw *picture.Renderer
}

// New makes a screen; it starts nothing.
func New(cfg Config) (*Screen, error) {
	if cfg.Display == nil || cfg.Open == nil || cfg.Logger == nil {
		return nil, errors.New("cannot prepare the OLED: display, bus or logger is missing")
	}
	if cfg.Address == 0 {
		cfg.Address = DefaultAddress
	}
	if cfg.Check <= 0 {
		cfg.Check = DefaultCheck
	}
	draw, err := picture.New()
	return &Screen{cfg: cfg, draw: draw}, err
}

// Run shows the display until the context ends, and returns its error; then the OLED is
// dark.
func (s *Screen) Run(ctx context.Context) error {
	d := keep.Device{Name: "OLED", Retry: s.cfg.Retry, Logger: s.cfg.Logger, Session: s.session}
	return d.Run(ctx)
}

// session uses the display for as long as it is there.
func (s *Screen) session(ctx context.Context, works func()) (err error) {
	bus, err := s.cfg.Open()
	if err != nil {
		return fmt.Errorf("cannot open the bus: %w", err)
	}
	defer bus.Close()
	opts := ssd1306.DefaultOpts
	opts.MirrorVertical, opts.MirrorHorizontal = s.cfg.Rotate, s.cfg.Rotate
	dev, err := ssd1306.NewI2C(at{bus, s.cfg.Address}, &opts)
	if err != nil {
		return fmt.Errorf("cannot start the display: %w", err)
	}
	defer func() {
		if ctx.Err() != nil {
			blank := image1bit.NewVerticalLSB(dev.Bounds()) // what is off keeps its memory
			err = errors.Join(err, dev.Draw(dev.Bounds(), blank, image.Point{}), dev.Halt())
		}
	}()
	views, stop := s.cfg.Display.Watch()
	defer stop()
	p := pane{dev: dev, draw: s.draw, wear: Wear{Dim: s.cfg.Dim, Off: s.cfg.Off}}
	if err := p.show(<-views); err != nil { // there is one at once
		return err
	}
	works()
	return s.follow(ctx, &p, views)
}

func (s *Screen) follow(ctx context.Context, p *pane, views <-chan panel.View) error {
	for {
		wait := s.cfg.Check
		if next := p.next(); next > 0 && next < wait {
			wait = next
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case v := <-views:
			err = p.show(v)
		case <-time.After(wait):
			err = p.check()
		}
		if err != nil {
			return err
		}
	}
}

// at sends what is for the address that the driver has built in to another one.
type at struct {
	i2c.Bus
	address uint16
}

func (a at) Tx(_ uint16, w, r []byte) error { return a.Bus.Tx(a.address, w, r) }
