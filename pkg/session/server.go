package session

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// Default limits of a Server.
const (
	defaultMaxSessions   = 16
	defaultMaxPairing    = 4
	defaultMaxHandshakes = 16
	defaultPairingTime   = 10 * time.Minute
	maxStreams           = 16 // calls of one session at once
	maxBulk              = 2  // of them Put and Get
)

// ServerConfig is what a Server needs. Zero times and limits take the defaults.
type ServerConfig struct {
	Identity crypto.Signer // the reader's Ed25519 key
	Peers    Peers
	Provider Provider
	Pairing  PairingProvider // nil: the reader pairs with nobody
	Logger   *slog.Logger

	HandshakeTime time.Duration // bounds a handshake; default 10 s
	Keepalive     time.Duration // of silence, after which the device is asked for a sign of life; default 10 s, least 1 s
	KeepaliveWait time.Duration // for that sign, after which the session ends; default 10 s
	PairingTime   time.Duration // bounds a pairing session; default 10 min

	MaxSessions   int // of paired devices; default 16
	MaxPairing    int // pairing sessions; default 4
	MaxHandshakes int // at once; the oldest makes way for a newer one; default 16
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.HandshakeTime = orDefault(c.HandshakeTime, defaultHandshakeTime)
	c.Keepalive = orDefault(c.Keepalive, defaultKeepalive)
	c.KeepaliveWait = orDefault(c.KeepaliveWait, defaultKeepaliveWait)
	c.PairingTime = orDefault(c.PairingTime, defaultPairingTime)
	limits := []struct {
		value     *int
		otherwise int
	}{
		{&c.MaxSessions, defaultMaxSessions},
		{&c.MaxPairing, defaultMaxPairing},
		{&c.MaxHandshakes, defaultMaxHandshakes},
	}
	for _, l := range limits {
		if *l.value <= 0 {
			*l.value = l.otherwise
		}
	}
	return c
}

// Server is the reader's side of all its sessions.
type Server struct {
	cfg      ServerConfig
	cert     tls.Certificate
	sessions *registry
	pending  *handshakes
	begun    *begunBlobs
}

// NewServer prepares a server; it starts nothing.
func NewServer(cfg ServerConfig) (*Server, error) {
	cert, err := certificate(cfg.Identity)
	if err != nil {
		return nil, fmt.Errorf("cannot make server: %w", err)
	}
	if cfg.Peers == nil || cfg.Provider == nil || cfg.Logger == nil {
		return nil, errors.New("cannot make server: peers, provider or logger is missing")
	}
	cfg = cfg.withDefaults()
	return &Server{
		cfg:      cfg,
		cert:     cert,
		sessions: newRegistry(cfg.MaxSessions, cfg.MaxPairing),
		pending:  &handshakes{limit: cfg.MaxHandshakes},
		begun:    &begunBlobs{},
	}, nil
}

// Serve authenticates and serves the connections that accept returns until the
// context ends (it returns the context's error) or accept fails (nil for
// net.ErrClosed, else accept's error). Every session of this Serve has ended when
// it returns. Several may run at once, one for each link.
func (s *Server) Serve(ctx context.Context, accept func(context.Context) (net.Conn, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := newConnQueue()
	server := s.newGRPC()
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(queue) })
	err := s.acceptAll(ctx, accept, func(conn net.Conn) {
		s.pending.begin(conn) // here, so that connections age in the order in which they came
		wg.Go(func() { s.serveConn(ctx, conn, queue) })
	})
	cancel()
	_ = queue.Close()
	server.Stop()
	wg.Wait()
	return err
}

func (s *Server) acceptAll(ctx context.Context, accept func(context.Context) (net.Conn, error), serve func(net.Conn)) error {
	for {
		conn, err := accept(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return context.Cause(ctx)
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("cannot accept sessions: %w", err)
		}
		serve(conn)
	}
}

// Disconnect ends the sessions of a paired device, if it has one.
func (s *Server) Disconnect(peerID string) {
	for _, c := range s.sessions.of(peerID) {
		c.revoke()
		c.finish(errRevoked)
	}
}

func (s *Server) newGRPC() *grpc.Server {
	server := grpc.NewServer(
		grpc.Creds(authenticated{}),
		grpc.ConnectionTimeout(s.cfg.HandshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: s.cfg.Keepalive, Timeout: s.cfg.KeepaliveWait}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: defaultKeepalive / 2, PermitWithoutStream: true}),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(MaxMessage),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(s.guardUnary),
		grpc.StreamInterceptor(s.guardStream),
	)
	sessionpb.RegisterProvisioningServer(server, &provisioning{provider: s.cfg.Provider, begun: s.begun})
	if s.cfg.Pairing != nil {
		sessionpb.RegisterPairingServer(server, &pairing{provider: s.cfg.Pairing})
	}
	return server
}

// connQueue is the listener from which gRPC takes authenticated connections.
type connQueue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newConnQueue() *connQueue {
	return &connQueue{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (q *connQueue) push(conn net.Conn) bool {
	select {
	case q.conns <- conn:
		return true
	case <-q.closed:
		return false
	}
}

// Accept implements net.Listener.
func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr implements net.Listener; the address means nothing.
func (q *connQueue) Addr() net.Addr { return &net.UnixAddr{Name: "session", Net: "unix"} }
