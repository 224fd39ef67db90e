// Package sessionpb is generated from reprovision.proto: the messages of the
// conversation between device and reader and their gRPC stubs.
//
// It has no lifecycle and holds no logic. Only package session may import it;
// everybody else speaks session's plain types.
package sessionpb

//go:generate ../../../scripts/generate
