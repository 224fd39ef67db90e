package session

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Default times.
const (
	defaultHandshakeTime = 10 * time.Second
	defaultKeepalive     = 10 * time.Second
	defaultKeepaliveWait = 10 * time.Second
)

// DialConfig is what a device's side of a session needs. Zero times take the
// defaults.
type DialConfig struct {
	Identity crypto.Signer     // the device's Ed25519 key
	Pin      ed25519.PublicKey // the reader's; not for DialPairing

	HandshakeTime time.Duration // bounds the whole of Dial; default 10 s
	Keepalive     time.Duration // of silence, after which the reader is asked for a sign of life; default and least 10 s
	KeepaliveWait time.Duration // for that sign, after which the link is dead; default 10 s
}

func (c DialConfig) withDefaults() DialConfig {
	c.HandshakeTime = orDefault(c.HandshakeTime, defaultHandshakeTime)
	c.Keepalive = orDefault(c.Keepalive, defaultKeepalive)
	c.KeepaliveWait = orDefault(c.KeepaliveWait, defaultKeepaliveWait)
	return c
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Dial opens a session with a paired reader over conn, which it takes over: conn
// is closed when Dial fails and when the session ends. It returns ErrWrongPeer
// when the reader does not hold the pinned key, ErrNotPaired when the reader
// does not know this device's, and ErrDisconnected when the link died.
func Dial(ctx context.Context, conn net.Conn, cfg DialConfig) (*Session, error) {
	if len(cfg.Pin) != ed25519.PublicKeySize {
		return nil, errors.Join(errors.New("cannot open session: no pinned key"), conn.Close())
	}
	c, err := dial(ctx, conn, cfg, alpnSession, func(cs tls.ConnectionState) error { return samePin(cs, cfg.Pin) })
	if err != nil {
		return nil, fmt.Errorf("cannot open session: %w", err)
	}
	return newSession(c), nil
}

// DialPairing opens a session for pairing with whoever is at the other end of
// conn, which it takes over as Dial does. Nothing is authenticated yet. It
// returns ErrPairingClosed when the reader's window is not open.
func DialPairing(ctx context.Context, conn net.Conn, cfg DialConfig) (*PairingSession, error) {
	c, err := dial(ctx, conn, cfg, alpnPairing, func(cs tls.ConnectionState) error {
		_, err := peerKey(cs)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open pairing session: %w", err)
	}
	p, err := newPairingSession(c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open pairing session: %w", err), c.Close())
	}
	return p, nil
}

// dial authenticates the connection and starts gRPC on it.
func dial(ctx context.Context, conn net.Conn, cfg DialConfig, protocol string, verify func(tls.ConnectionState) error) (*channel, error) {
	cfg = cfg.withDefaults()
	counted := &meter{Conn: conn}
	silent := fmt.Errorf("%w: no answer within %v", ErrDisconnected, cfg.HandshakeTime)
	handshake, cancel := context.WithTimeoutCause(ctx, cfg.HandshakeTime, silent)
	defer cancel()
	w, err := greet(handshake, counted, cfg, protocol, verify)
	if err == nil {
		var c *channel
		if c, err = newChannel(w, counted, cfg); err == nil {
			return c, nil
		}
	}
	return nil, errors.Join(err, closeQuietly(conn))
}

// closeQuietly closes a connection that may be closed already.
func closeQuietly(conn net.Conn) error {
	if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// greet shakes hands and waits for the reader's first byte: only then has the
// reader taken the device's certificate, which in TLS 1.3 it judges last.
func greet(ctx context.Context, conn net.Conn, cfg DialConfig, protocol string, verify func(tls.ConnectionState) error) (*wire, error) {
	cert, err := certificate(cfg.Identity)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(conn, profile(cert, []string{protocol}, func(cs tls.ConnectionState) error {
		if cs.NegotiatedProtocol != protocol {
			return fmt.Errorf("%w: it does not speak %s", ErrProtocol, protocol)
		}
		return verify(cs)
	}))
	first := make([]byte, 1)
	err = interruptible(ctx, conn, func() error {
		if err := tc.Handshake(); err != nil {
			return err
		}
		_, err := tc.Read(first)
		return err
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, refusal(err, protocol)
	}
	return newWire(tc, first), nil
}
