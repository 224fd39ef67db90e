package session_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// raw speaks gRPC of its own over a TLS session, for what Session never sends.
func raw(t *testing.T, r *reader, protocol string) *grpc.ClientConn {
	t.Helper()
	key := newKey(t)
	r.pair(key, "raw")
	tc := tls.Client(r.connect(t), &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{protocol}, Certificates: []tls.Certificate{selfSigned(t, key, public(key))},
	})
	cc, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return tc, nil }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// code is the failure code that an answer carries.
func code(err error) sessionpb.Failure_Code {
	st, _ := status.FromError(err)
	for _, d := range st.Details() {
		if f, ok := d.(*sessionpb.Failure); ok {
			return f.GetCode()
		}
	}
	return sessionpb.Failure_CODE_UNSPECIFIED
}

// TestServicesAreKeptApart calls every method from the wrong kind of session.
func TestServicesAreKeptApart(t *testing.T) {
	r := newReader(t)
	r.window.set(true)
	for protocol, service := range map[string]grpc.ServiceDesc{
		"reprovision-pair/1": sessionpb.Provisioning_ServiceDesc,
		"reprovision/1":      sessionpb.Pairing_ServiceDesc,
	} {
		cc := raw(t, r, protocol)
		for _, m := range service.Methods {
			method := "/" + service.ServiceName + "/" + m.MethodName
			err := cc.Invoke(within(t), method, &sessionpb.VaultsRequest{}, &sessionpb.VaultsResponse{})
			if code(err) != sessionpb.Failure_NOT_ALLOWED {
				t.Errorf("%s over %s: %v; want NOT_ALLOWED", method, protocol, err)
			}
		}
		for _, m := range service.Streams {
			method := "/" + service.ServiceName + "/" + m.StreamName
			stream, err := cc.NewStream(within(t), &m, method)
			if err == nil {
				err = stream.RecvMsg(&sessionpb.Event{})
			}
			if code(err) != sessionpb.Failure_NOT_ALLOWED {
				t.Errorf("%s over %s: %v; want NOT_ALLOWED", method, protocol, err)
			}
		}
	}
	if len(r.store.vaults) != 0 || len(r.window.seen) != 0 {
		t.Error("a call got through")
	}
}

// TestBadRequests sends what no honest device sends.
func TestBadRequests(t *testing.T) {
	r := newReader(t)
	cc := raw(t, r, "reprovision/1")
	rpc := sessionpb.NewProvisioningClient(cc)
	ctx := within(t)
	good := make([]byte, 16)
	slots := make([]*sessionpb.Slot, session.MaxSlots+1)
	for i := range slots {
		slots[i] = &sessionpb.Slot{}
	}
	bad, large := sessionpb.Failure_BAD_REQUEST, sessionpb.Failure_TOO_LARGE
	tests := map[string]struct {
		want sessionpb.Failure_Code
		call func() error
	}{
		"version 9":   {sessionpb.Failure_PROTOCOL, func() error { _, err := rpc.Hello(ctx, &sessionpb.HelloRequest{Protocol: 9}); return err }},
		"short id":    {bad, func() error { _, err := rpc.ClaimVault(ctx, &sessionpb.ClaimVaultRequest{Id: good[:15]}); return err }},
		"no vault id": {bad, func() error { _, err := rpc.CreateVault(ctx, &sessionpb.CreateVaultRequest{}); return err }},
		"many slots": {large, func() error {
			_, err := rpc.CreateVault(ctx, &sessionpb.CreateVaultRequest{Id: good, Slots: slots})
			return err
		}},
		"long label": {large, func() error {
			_, err := rpc.CreateVault(ctx, &sessionpb.CreateVaultRequest{Id: good, Label: make([]byte, 2000)})
			return err
		}},
		"odd slot": {bad, func() error {
			_, err := rpc.CreateVault(ctx, &sessionpb.CreateVaultRequest{Id: good, Slots: []*sessionpb.Slot{{Kind: "a\x1b"}}})
			return err
		}},
		"large slot": {large, func() error {
			_, err := rpc.CreateVault(ctx, &sessionpb.CreateVaultRequest{Id: good, Slots: []*sessionpb.Slot{{Data: make([]byte, session.MaxSlotData+1)}}})
			return err
		}},
		"snapshots": {bad, func() error { _, err := rpc.Snapshots(ctx, &sessionpb.SnapshotsRequest{}); return err }},
		"long id": {bad, func() error {
			_, err := rpc.Missing(ctx, &sessionpb.MissingRequest{Vault: good, Ids: [][]byte{make([]byte, 17)}})
			return err
		}},
		"many ids": {large, func() error {
			_, err := rpc.Missing(ctx, &sessionpb.MissingRequest{Vault: good, Ids: make([][]byte, session.MaxIDs+1)})
			return err
		}},
		"large header": {large, func() error {
			_, err := rpc.Commit(ctx, &sessionpb.CommitRequest{Header: make([]byte, session.MaxHeader+1)})
			return err
		}},
		"no snapshot": {bad, func() error { _, err := rpc.Commit(ctx, &sessionpb.CommitRequest{Vault: good}); return err }},
		"bad parent": {bad, func() error {
			_, err := rpc.Commit(ctx, &sessionpb.CommitRequest{Vault: good, Snapshot: good, Parent: good[:3]})
			return err
		}},
		"no challenge": {bad, func() error { _, err := rpc.Attest(ctx, &sessionpb.AttestRequest{Vault: good}); return err }},
		"large challenge": {bad, func() error {
			_, err := rpc.Attest(ctx, &sessionpb.AttestRequest{Vault: good, Challenge: make([]byte, session.MaxProof+1)})
			return err
		}},
		"large record": {large, func() error {
			_, err := rpc.Authorize(ctx, &sessionpb.AuthorizeRequest{Vault: good, Record: make([]byte, session.MaxProof+1)})
			return err
		}},
		"get": {bad, func() error { return recvError(rpc.Get(ctx, &sessionpb.GetRequest{})) }},
		"put": {bad, func() error { return putPieces(ctx, rpc, &sessionpb.BlobPiece{}) }},
	}
	for name, tt := range tests {
		if err := tt.call(); code(err) != tt.want {
			t.Errorf("%s: %v; want %v", name, err, tt.want)
		}
	}
	if len(r.store.vaults) != 0 {
		t.Error("a bad vault was made")
	}
	err := cc.Invoke(ctx, "/reprovision.v1.Provisioning/Vaults", &sessionpb.ExchangeRequest{Ke1: make([]byte, 2<<20)}, &sessionpb.VaultsResponse{})
	if err == nil {
		t.Error("a message of 2 MiB was taken")
	}
}

// TestBadPieces puts blobs that do not add up; none may be stored.
func TestBadPieces(t *testing.T) {
	r := newReader(t)
	rpc := sessionpb.NewProvisioningClient(raw(t, r, "reprovision/1"))
	ctx := within(t)
	vaultID := id(1)
	v := vaultID[:]
	if _, err := rpc.CreateVault(ctx, &sessionpb.CreateVaultRequest{Id: v}); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 100)
	type pieces = []*sessionpb.BlobPiece
	tests := map[string]pieces{
		"no blob id":          {{Vault: v, Total: 100, Data: data, Last: true}},
		"too much":            {{Vault: v, Id: v, Total: 99, Data: data, Last: true}},
		"too little":          {{Vault: v, Id: v, Total: 101, Data: data, Last: true}},
		"last is missing":     {{Vault: v, Id: v, Total: 100, Data: data}},
		"ends in the middle":  {{Vault: v, Id: v, Total: 200, Data: data}},
		"gap":                 {{Vault: v, Id: v, Total: 300, Data: data}, {Offset: 200, Data: data, Last: true}},
		"overlap":             {{Vault: v, Id: v, Total: 200, Data: data}, {Offset: 50, Data: data, Last: true}},
		"first not at 0":      {{Vault: v, Id: v, Total: 200, Offset: 100, Data: data, Last: true}},
		"two blobs in a tie":  {{Vault: v, Id: v, Total: 200, Data: data}, {Id: v, Offset: 100, Data: data, Last: true}},
		"empty piece":         {{Vault: v, Id: v, Total: 200}},
		"huge":                {{Vault: v, Id: v, Total: 1 << 62, Data: data}},
		"large piece":         {{Vault: v, Id: v, Total: 1 << 20, Data: make([]byte, session.MaxPiece+1)}},
		"part 256":            {{Vault: v, Id: v, Part: 256, Total: 100, Data: data, Last: true}},
		"offset wraps around": {{Vault: v, Id: v, Total: 200, Data: data}, {Offset: ^uint64(0), Data: data, Last: true}},
	}
	for name, p := range tests {
		err := putPieces(ctx, rpc, p...)
		if c := code(err); c != sessionpb.Failure_BAD_REQUEST && c != sessionpb.Failure_TOO_LARGE {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(r.store.vaults[id(1)].blobs); n != 0 {
		t.Errorf("%d bad blobs were stored", n)
	}
}

func putPieces(ctx context.Context, rpc sessionpb.ProvisioningClient, pieces ...*sessionpb.BlobPiece) error {
	stream, err := rpc.Put(ctx)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if err := stream.Send(p); err != nil {
			break
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func recvError(stream grpc.ServerStreamingClient[sessionpb.BlobPiece], err error) error {
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}
