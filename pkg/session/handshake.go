package session

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/link"
)

// lingerTime and lingerBytes bound how long a refused device may take to hear
// why: a link that is closed at once can lose the alert.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// handshakes are the connections that have not authenticated themselves yet.
// Strangers cannot keep others out: the oldest makes way.
type handshakes struct {
	limit int
	mu    sync.Mutex
	conns []net.Conn // oldest first
}

func (h *handshakes) begin(conn net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conns) >= h.limit {
		_ = h.conns[0].Close()
		h.conns = slices.Delete(h.conns, 0, 1)
	}
	h.conns = append(h.conns, conn)
}

func (h *handshakes) end(conn net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = slices.DeleteFunc(h.conns, func(c net.Conn) bool { return c == conn })
}

// serveConn authenticates a connection, hands it to gRPC and stays with it
// until it has ended.
func (s *Server) serveConn(ctx context.Context, conn net.Conn, queue *connQueue) {
	c, err := s.authenticate(ctx, conn)
	if err != nil {
		s.cfg.Logger.Info("refused a connection", "error", err)
		_ = conn.Close()
		return
	}
	if err := s.sessions.add(c); err != nil {
		s.cfg.Logger.Warn("refused a session", "peer", c.peer.ID, "error", err)
		_ = c.Close()
		return
	}
	defer s.sessions.remove(c)
	stop := context.AfterFunc(ctx, func() { c.finish(context.Cause(ctx)) })
	defer stop()
	s.attend(c, queue)
}

// attend brackets the session's life with the provider's callbacks.
func (s *Server) attend(c *serverConn, queue *connQueue) {
	if c.pairing {
		limit := time.AfterFunc(s.cfg.PairingTime, func() { c.finish(errTooLong) })
		defer limit.Stop()
		defer s.cfg.Pairing.Gone(c.pairingPeer())
	} else {
		s.cfg.Provider.Connected(c.peer)
		defer func() { s.cfg.Provider.Disconnected(c.peer, ended(c.reason)) }()
	}
	if !queue.push(c) {
		_ = c.Close()
	}
	<-c.ended
	_ = c.Close()
}

// authenticate shakes hands. The connection is still open when it fails, so that
// the alert gets through; the caller closes it.
func (s *Server) authenticate(ctx context.Context, conn net.Conn) (*serverConn, error) {
	defer s.pending.end(conn)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HandshakeTime)
	defer cancel()
	c := &serverConn{bulk: make(chan struct{}, maxBulk), gone: make(chan struct{})}
	c.peer.Address = remote(conn)
	tc := tls.Server(conn, profile(s.cert, s.protocols(), func(cs tls.ConnectionState) error { return s.identify(c, cs) }))
	if err := interruptible(ctx, conn, tc.Handshake); err != nil {
		linger(ctx, conn)
		return nil, fmt.Errorf("cannot authenticate the peer: %w", err)
	}
	var err error
	if c.exporter, err = exporter(tc.ConnectionState()); err != nil {
		return nil, fmt.Errorf("cannot authenticate the peer: %w", err)
	}
	c.peer.Exporter = c.exporter
	c.wire = newWire(tc, nil)
	return c, nil
}

// remote is the address of the link's other end, where the link has such.
func remote(conn net.Conn) link.Address {
	if at := conn.RemoteAddr(); at != nil {
		if a, err := link.ParseAddress(at.String()); err == nil {
			return a
		}
	}
	return link.Address{}
}

// protocols are those that the reader answers now. To a device that wants to
// pair while the window is closed there is none, and so an alert of its own.
func (s *Server) protocols() []string {
	if s.cfg.Pairing != nil && s.cfg.Pairing.Open() {
		return []string{alpnSession, alpnPairing}
	}
	return []string{alpnSession}
}

// identify judges the device's key, of which TLS has yet to see the proof.
func (s *Server) identify(c *serverConn, cs tls.ConnectionState) error {
	key, err := peerKey(cs)
	if err != nil {
		return err
	}
	c.peer.Key = slices.Clone(key)
	switch cs.NegotiatedProtocol {
	case alpnPairing:
		c.pairing = true
		return nil
	case alpnSession:
		return s.recognize(c, key)
	}
	return fmt.Errorf("%w: no application protocol", ErrProtocol)
}

func (s *Server) recognize(c *serverConn, key ed25519.PublicKey) error {
	id, ok := s.cfg.Peers.Paired(key)
	if !ok {
		return ErrNotPaired
	}
	c.peer.ID = id
	return nil
}

// linger reads what a refused device still sends, until it hangs up.
func linger(ctx context.Context, conn net.Conn) {
	if conn.SetDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_ = interruptible(ctx, conn, func() error {
		_, err := io.Copy(io.Discard, io.LimitReader(conn, lingerBytes))
		return err
	})
}
