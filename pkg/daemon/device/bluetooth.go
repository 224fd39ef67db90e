package device

import (
	"context"
	"errors"
	"log/slog"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/start"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/local"
	"github.com/reprovision/reprovision/pkg/link/rfcomm"
)

// bluetooth is this device's Bluetooth, with a bus connection of its own.
type bluetooth struct {
	client *bluez.Client
	conn   *dbus.Conn
	log    *slog.Logger
}

// openLink makes what reaches the reader, as the settings say.
func (d *Daemon) openLink(bus start.Bus) (link.Dialer, error) {
	if d.cfg.Link.Kind == config.Local {
		return local.Dialer{Path: d.cfg.Link.Path}, nil
	}
	conn, err := bus.Connect()
	if err != nil {
		return nil, err
	}
	client := bluez.New(bluez.Config{
		Conn: conn, Role: bluez.Dialer, Adapter: d.cfg.Link.Adapter, Logger: d.log,
		OnState: d.onBluetooth, OnNear: d.onNear,
	})
	d.bluetooth = &bluetooth{client: client, conn: conn, log: d.log}
	return rfcomm.Dialer{Client: client}, nil
}

// onBluetooth hears that Bluetooth can be used now, or cannot any more.
func (d *Daemon) onBluetooth(s bluez.State) {
	d.event("link", map[string]any{"adapter": s.Adapter, "usable": s.Err() == nil, "reason": reason(s.Err())})
	d.keeper.try() // or else finds out the new reason why not
}

// unusable tells whether an error is about this host's Bluetooth and not about
// the reader.
func unusable(err error) bool { return errors.Is(translate(err), busapi.ErrNoLink) }

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// onNear hears that a Bluetooth host is connected: the reader may be back.
func (d *Daemon) onNear(a bluez.Address) {
	if reader, err := d.keeper.reader(); err == nil && reader.Address == a.String() {
		d.keeper.try()
	}
}

// forget removes the bond with a reader that the device is not paired with any
// more. A bond is worth nothing here; it is a matter of tidiness.
func (b *bluetooth) forget(reader keyring.Peer) {
	a, err := link.ParseAddress(reader.Address)
	if b == nil || err != nil {
		return
	}
	if err := b.client.Forget(context.Background(), bluez.Address(a)); err != nil {
		b.log.Debug("the Bluetooth bond stays", "reader", reader.ID, "error", err)
	}
}

func (b *bluetooth) close() error {
	if b == nil {
		return nil
	}
	return b.conn.Close()
}
