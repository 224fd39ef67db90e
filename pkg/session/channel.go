package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// Flow control windows, in bytes. They are fixed: a few of them in flight fill
// a radio link, and gRPC's own measurement of the link costs traffic.
const (
	streamWindow = 64 << 10
	connWindow   = 256 << 10
)

const maxHeaderList = 8 << 10 // bytes of gRPC metadata

// channel is the device's end of one authenticated connection: gRPC that never
// reconnects.
type channel struct {
	wire   *wire
	meter  *meter
	client *grpc.ClientConn
	closed atomic.Bool   // by Close
	done   chan struct{} // closes when all has ended
}

func newChannel(w *wire, m *meter, cfg DialConfig) (*channel, error) {
	c := &channel{wire: w, meter: m, done: make(chan struct{})}
	var err error
	c.client, err = grpc.NewClient("passthrough:///reader",
		grpc.WithContextDialer(once(w)),
		grpc.WithTransportCredentials(authenticated{}),
		grpc.WithAuthority("reader"),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: cfg.Keepalive, Timeout: cfg.KeepaliveWait, PermitWithoutStream: true,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithMaxHeaderListSize(maxHeaderList),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		return nil, err
	}
	c.client.Connect()
	go c.watch()
	return c, nil
}

// once hands out the connection to the first who asks.
func once(w *wire) func(context.Context, string) (net.Conn, error) {
	var taken atomic.Bool
	return func(context.Context, string) (net.Conn, error) {
		if taken.Swap(true) {
			return nil, ErrDisconnected
		}
		return w, nil
	}
}

// watch ends gRPC when the connection has ended.
func (c *channel) watch() {
	defer close(c.done)
	<-c.wire.ended
	_ = c.client.Close()
	_ = c.wire.Close()
}

// Done is closed when the session has ended, for whatever reason.
func (c *channel) Done() <-chan struct{} { return c.done }

// Err says why the session has ended: nil while it lives and after Close, else
// an error that wraps ErrDisconnected.
func (c *channel) Err() error {
	select {
	case <-c.done:
	default:
		return nil
	}
	if c.closed.Load() {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDisconnected, c.wire.reason)
}

// Close ends the session and waits until its connection is closed.
func (c *channel) Close() error {
	if !c.wire.hasEnded() {
		c.closed.Store(true)
	}
	c.wire.end(net.ErrClosed)
	<-c.done
	return nil
}

// BytesSent counts the bytes written to the link, TLS included.
func (c *channel) BytesSent() uint64 { return c.meter.sent.Load() }

// BytesReceived counts the bytes read from the link, TLS included.
func (c *channel) BytesReceived() uint64 { return c.meter.received.Load() }

// result makes a call's error one that callers can tell apart, and says which
// call it was.
func (c *channel) result(ctx context.Context, call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot %s: %w", call, c.cause(ctx, err))
}

func (c *channel) cause(ctx context.Context, err error) error {
	remote := fromStatus(err)
	if _, ok := errors.AsType[*RemoteError](remote); ok {
		return remote
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.wire.hasEnded() {
		return fmt.Errorf("%w: %w", ErrDisconnected, c.wire.reason)
	}
	return remote
}

// authenticated are gRPC's credentials on a connection that has been
// authenticated before gRPC saw it.
type authenticated struct{}

// ClientHandshake finds its work done.
func (authenticated) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if _, ok := conn.(*wire); !ok {
		return nil, nil, errors.New("connection is not authenticated")
	}
	return conn, authInfo{}, nil
}

// ServerHandshake passes on whom the handshake found.
func (authenticated) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(*serverConn)
	if !ok {
		return nil, nil, errors.New("connection is not authenticated")
	}
	return conn, authInfo{conn: c}, nil
}

// Info implements credentials.TransportCredentials.
func (authenticated) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (a authenticated) Clone() credentials.TransportCredentials { return a }

// OverrideServerName implements credentials.TransportCredentials; names mean
// nothing here.
func (authenticated) OverrideServerName(string) error { return nil }

// authInfo tells a call on the reader which connection it came by.
type authInfo struct {
	conn *serverConn // nil on the device
}

// AuthType implements credentials.AuthInfo.
func (authInfo) AuthType() string { return "reprovision" }

// GetCommonAuthInfo tells gRPC that the connection is private.
func (authInfo) GetCommonAuthInfo() credentials.CommonAuthInfo {
	return credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
}

// ValidateAuthority implements credentials.AuthorityValidator; names mean
// nothing here.
func (authInfo) ValidateAuthority(string) error { return nil }
