package session

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// caller finds the connection that a call came by.
func caller(ctx context.Context) (*serverConn, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, ErrNotPaired
	}
	info, ok := p.AuthInfo.(authInfo)
	if !ok || info.conn == nil {
		return nil, ErrNotPaired
	}
	return info.conn, nil
}

// allow lets a pairing session call nothing but the Pairing service, and a
// paired device nothing but Provisioning.
func allow(c *serverConn, method string) error {
	service := sessionpb.Provisioning_ServiceDesc.ServiceName
	if c.pairing {
		service = sessionpb.Pairing_ServiceDesc.ServiceName
	}
	if !strings.HasPrefix(method, "/"+service+"/") {
		return fmt.Errorf("%w: %s", ErrNotAllowed, method)
	}
	if c.revoked.Load() {
		return ErrNotPaired
	}
	return nil
}

// guardUnary admits a call and makes its error ready to travel.
func (s *Server) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	c, err := caller(ctx)
	if err == nil {
		err = allow(c, info.FullMethod)
	}
	var answer any
	if err == nil {
		answer, err = handle(ctx, req)
	}
	s.report(c, info.FullMethod, err)
	return answer, toStatus(err)
}

// guardStream does the same for calls with streams.
func (s *Server) guardStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	c, err := caller(stream.Context())
	if err == nil {
		err = allow(c, info.FullMethod)
	}
	if err == nil {
		err = handle(srv, stream)
	}
	s.report(c, info.FullMethod, err)
	return toStatus(err)
}

// report logs a failed call, unless the device took it back.
func (s *Server) report(c *serverConn, method string, err error) {
	if err == nil || c == nil || c.hasEnded() || status.Code(err) == codes.Canceled || errors.Is(err, context.Canceled) {
		return
	}
	s.cfg.Logger.Warn("call failed", "method", method, "peer", c.peer.ID, "session", c.peer.Session, "error", err)
}

// takeBulk waits until the session may run another Put or Get.
func (c *serverConn) takeBulk(ctx context.Context) (release func(), err error) {
	select {
	case c.bulk <- struct{}{}:
		return func() { <-c.bulk }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
