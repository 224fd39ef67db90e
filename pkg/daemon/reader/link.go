package reader

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/start"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/local"
	"github.com/reprovision/reprovision/pkg/link/rfcomm"
)

// openLink makes what devices reach the reader by, as the settings say.
func (d *Daemon) openLink(bus start.Bus) error {
	if d.cfg.Link.Kind == config.Local {
		address, err := d.localAddress()
		if err != nil {
			return err
		}
		d.listener, err = local.Listen(local.Config{Path: d.cfg.Link.Path, Address: address, Logger: d.log})
		return err
	}
	conn, err := bus.Connect()
	if err != nil {
		return err
	}
	d.bluetooth = newBluetooth(conn, d.log)
	d.bluetooth.client = bluez.New(bluez.Config{
		Conn: conn, Role: bluez.Server, Adapter: d.cfg.Link.Adapter, Name: d.cfg.Name, Power: true, Logger: d.log,
		OnState: d.onBluetooth,
	})
	d.listener = rfcomm.NewListener(d.bluetooth.client)
	return d.expect()
}

// onBluetooth hears that Bluetooth can be used now, or cannot any more.
func (d *Daemon) onBluetooth(s bluez.State) {
	fields := map[string]any{"adapter": s.Adapter, "usable": s.Err() == nil}
	if err := s.Err(); err != nil {
		fields["reason"] = err.Error()
	}
	d.event("link", fields)
	d.bus.Refresh()
}

// linkError is why no device can reach the reader; nil when one can.
func (d *Daemon) linkError() error {
	if d.bluetooth == nil {
		return nil
	}
	return d.bluetooth.client.State().Err()
}

// expect lets Bluetooth know which devices are paired.
func (d *Daemon) expect() error {
	if d.bluetooth == nil {
		return nil
	}
	peers, err := d.keys.Peers()
	if err != nil {
		return err
	}
	var known []bluez.Address
	for _, p := range peers {
		if a, err := link.ParseAddress(p.Address); err == nil {
			known = append(known, bluez.Address(a))
		}
	}
	d.bluetooth.client.Expect(known...)
	return nil
}

// localAddress is the 48-bit address that the display shows at step 412, on a
// link without addresses of its own. It is made up once, as IEEE 802 says for
// locally administered ones.
func (d *Daemon) localAddress() (link.Address, error) {
	file := filepath.Join(d.cfg.StateDir, "address")
	raw, err := os.ReadFile(file)
	if err == nil {
		a, perr := link.ParseAddress(string(raw))
		if perr != nil {
			return a, fmt.Errorf("cannot read the address in %s: %w", file, perr)
		}
		return a, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return link.Address{}, fmt.Errorf("cannot read the address: %w", err)
	}
	var a link.Address
	rand.Read(a[:]) // never fails: crypto/rand
	a[0] = a[0]&^1 | 2
	if err := renameio.WriteFile(file, []byte(a.String()), 0o600); err != nil {
		return a, fmt.Errorf("cannot keep the address: %w", err)
	}
	return a, nil
}
