package session

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// The alerts of RFC 8446, section 6, by which a reader refuses a device.
const (
	alertBadCertificate        = tls.AlertError(42)
	alertNoApplicationProtocol = tls.AlertError(120)
)

// remoteAlert tells whether err is that alert, sent by the peer. crypto/tls
// gives the alert a type of its own, but the text of the exported one.
func remoteAlert(err error, alert tls.AlertError) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && op.Err != nil && op.Err.Error() == alert.Error()
}

// refusal makes sense of why the reader ended a handshake.
func refusal(err error, protocol string) error {
	switch {
	case remoteAlert(err, alertBadCertificate):
		return ErrNotPaired
	case remoteAlert(err, alertNoApplicationProtocol) && protocol == alpnPairing:
		return ErrPairingClosed
	case remoteAlert(err, alertNoApplicationProtocol):
		return fmt.Errorf("%w: the reader does not speak %s", ErrProtocol, protocol)
	}
	return ended(err)
}

// ended adds ErrDisconnected to the errors of a connection that died.
func ended(err error) error {
	if _, ok := errors.AsType[net.Error](err); ok ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	return err
}
