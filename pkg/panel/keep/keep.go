// Package keep uses a device that can go and come back: a display or a button that is
// unplugged is tried again, and the log is told once of each change. The packages of the
// panel's devices import it, and nobody else.
package keep

import (
	"context"
	"log/slog"
	"time"
)

// DefaultRetry is how long a device that failed is left alone.
const DefaultRetry = 5 * time.Second

// Device is a device that is used for as long as it is there. Run is for once.
type Device struct {
	Name   string // for the log
	Retry  time.Duration
	Logger *slog.Logger
	// Session uses the device until it fails or ctx ends. It calls works when the device
	// is seen to work.
	Session func(ctx context.Context, works func()) error

	broken bool // the log has been told
}

// Run uses the device until the context ends, and returns its error.
func (d *Device) Run(ctx context.Context) error {
	if d.Retry <= 0 {
		d.Retry = DefaultRetry
	}
	for {
		err := d.Session(ctx, d.works)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !d.broken {
			d.broken = true
			d.Logger.Error("cannot use a device of the panel; it is tried again", "device", d.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.Retry):
		}
	}
}

func (d *Device) works() {
	if d.broken {
		d.broken = false
		d.Logger.Info("a device of the panel works again", "device", d.Name)
	}
}
