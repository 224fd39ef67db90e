package reader

import (
	"context"
	"log/slog"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/bluez"
)

// bluetooth is this reader's Bluetooth, with a bus connection of its own. The
// listener runs the client.
type bluetooth struct {
	client *bluez.Client
	conn   *dbus.Conn
	log    *slog.Logger
	window chan struct{} // holds one: the pairing window may have opened or closed
}

func newBluetooth(conn *dbus.Conn, log *slog.Logger) *bluetooth {
	return &bluetooth{conn: conn, log: log, window: make(chan struct{}, 1)}
}

// hint has the beacon look at the pairing window.
func (b *bluetooth) hint() {
	if b == nil {
		return
	}
	select {
	case b.window <- struct{}{}:
	default:
	}
}

// beacon lets the reader be found and bonded with while the pairing window is
// open (steps 410 to 422); until tells when that closes.
func (b *bluetooth) beacon(ctx context.Context, until func() time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.window:
		}
		var err error
		if closes := until(); closes.IsZero() {
			err = b.client.Hide(ctx)
		} else {
			err = b.client.Show(ctx, time.Until(closes))
		}
		if err != nil && ctx.Err() == nil {
			b.log.Warn("cannot show the reader, or hide it", "error", err)
		}
	}
}

// forget removes the bond with a device that is not paired any more.
func (b *bluetooth) forget(ctx context.Context, address bluez.Address) {
	if b == nil || address == (bluez.Address{}) {
		return
	}
	if err := b.client.Forget(ctx, address); err != nil {
		b.log.Debug("the Bluetooth bond stays", "device", address, "error", err)
	}
}

func (b *bluetooth) close() error {
	if b == nil {
		return nil
	}
	return b.conn.Close()
}
