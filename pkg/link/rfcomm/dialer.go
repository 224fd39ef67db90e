package rfcomm

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/link"
)

// Dialer reaches a reader over Bluetooth. Its client has bluez.Dialer's role,
// and somebody else runs it.
type Dialer struct {
	Client *bluez.Client
}

// Dial implements link.Dialer. A reader out of range is known after about 12
// seconds at most. A reader that is there and refuses, and an adapter that cannot
// be used, are a reader out of range, too; the error tells them apart by
// bluez.ErrRefused, bluez.ErrPoweredOff and the like.
func (d Dialer) Dial(ctx context.Context, a link.Address) (net.Conn, error) {
	s, err := d.Client.Dial(ctx, bluez.Address(a))
	if err == nil {
		return newConn(s), nil
	}
	if unreachable(err) && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", link.ErrUnreachable, err)
	}
	return nil, fmt.Errorf("cannot reach %s: %w", a, err)
}

func unreachable(err error) bool {
	for _, kind := range []error{
		bluez.ErrAbsent, bluez.ErrNoService, bluez.ErrRefused, bluez.ErrBusy, bluez.ErrNotRunning,
		bluez.ErrNoAdapter, bluez.ErrPoweredOff, bluez.ErrBlocked, bluez.ErrStarting,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
