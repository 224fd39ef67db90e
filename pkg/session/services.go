package session

import (
	"context"
	"crypto/sha256"
	"fmt"

	"google.golang.org/grpc"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// provisioning puts the Provider behind the Provisioning service.
type provisioning struct {
	sessionpb.UnimplementedProvisioningServer
	provider Provider
	begun    *begunBlobs
}

// Hello implements sessionpb.ProvisioningServer.
func (s *provisioning) Hello(ctx context.Context, m *sessionpb.HelloRequest) (*sessionpb.HelloResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if m.GetProtocol() != Protocol {
		return nil, fmt.Errorf("%w: this reader speaks version %d, not %d", ErrProtocol, Protocol, m.GetProtocol())
	}
	mine, err := s.provider.Hello(ctx, c.peer, Hello{Name: tame(m.GetDeviceName(), MaxName), Backup: readPlan(m.GetBackup())})
	if err != nil {
		return nil, err
	}
	return &sessionpb.HelloResponse{
		Protocol: Protocol, ReaderName: tame(mine.Name, MaxName), Card: writeCard(mine.Card), Run: optionalID(mine.Run),
	}, nil
}

// Events implements sessionpb.ProvisioningServer.
func (s *provisioning) Events(_ *sessionpb.EventsRequest, stream grpc.ServerStreamingServer[sessionpb.Event]) error {
	c, err := caller(stream.Context())
	if err != nil {
		return err
	}
	return s.provider.Events(stream.Context(), c.peer, func(e Event) error { return stream.Send(writeEvent(e)) })
}

// Vaults implements sessionpb.ProvisioningServer.
func (s *provisioning) Vaults(ctx context.Context, _ *sessionpb.VaultsRequest) (*sessionpb.VaultsResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	vaults, err := s.provider.Vaults(ctx, c.peer)
	if err != nil {
		return nil, err
	}
	m := &sessionpb.VaultsResponse{}
	for _, v := range vaults {
		m.Vaults = append(m.Vaults, writeVault(v))
	}
	return m, nil
}

// CreateVault implements sessionpb.ProvisioningServer.
func (s *provisioning) CreateVault(ctx context.Context, m *sessionpb.CreateVaultRequest) (*sessionpb.CreateVaultResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	v, err := readNewVault(m)
	if err != nil {
		return nil, err
	}
	return &sessionpb.CreateVaultResponse{}, s.provider.CreateVault(ctx, c.peer, v)
}

// ClaimVault implements sessionpb.ProvisioningServer.
func (s *provisioning) ClaimVault(ctx context.Context, m *sessionpb.ClaimVaultRequest) (*sessionpb.ClaimVaultResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	id, err := readID(m.GetId())
	if err != nil {
		return nil, err
	}
	slots, err := s.provider.ClaimVault(ctx, c.peer, id)
	return &sessionpb.ClaimVaultResponse{Slots: writeSlots(slots)}, err
}

// pageBytes bounds the headers in one answer to Snapshots.
const pageBytes = MaxMessage / 2

// Snapshots implements sessionpb.ProvisioningServer.
func (s *provisioning) Snapshots(ctx context.Context, m *sessionpb.SnapshotsRequest) (*sessionpb.SnapshotsResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	vault, err := readID(m.GetVault())
	if err != nil {
		return nil, err
	}
	q := SnapshotQuery{Vault: vault, From: m.GetFrom(), Limit: int(min(m.GetLimit(), MaxIDs))}
	snapshots, err := s.provider.Snapshots(ctx, c.peer, q)
	if err != nil {
		return nil, err
	}
	return page(snapshots), nil
}

// page takes as many snapshots as fit into an answer.
func page(snapshots []Snapshot) *sessionpb.SnapshotsResponse {
	m := &sessionpb.SnapshotsResponse{}
	const overhead = 128 // bytes of a snapshot beside its header, and more
	size := 0
	for _, sn := range snapshots {
		size += len(sn.Header) + overhead
		if size > pageBytes && len(m.Snapshots) > 0 {
			m.More = true
			break
		}
		m.Snapshots = append(m.Snapshots, writeSnapshot(sn))
	}
	return m
}

// Missing implements sessionpb.ProvisioningServer.
func (s *provisioning) Missing(ctx context.Context, m *sessionpb.MissingRequest) (*sessionpb.MissingResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	vault, err := readID(m.GetVault())
	if err != nil {
		return nil, err
	}
	ids, err := readIDs(m.GetIds())
	if err != nil {
		return nil, err
	}
	missing, err := s.provider.Missing(ctx, c.peer, vault, ids)
	if err != nil {
		return nil, err
	}
	out := &sessionpb.MissingResponse{Ids: writeIDs(missing)}
	if len(missing) > 0 {
		if begun := s.begun.find(c.peer.ID, vault, missing[0]); begun != nil {
			sum := sha256.Sum256(begun)
			out.Begun, out.Sum = uint64(len(begun)), sum[:]
		}
	}
	return out, nil
}

// Commit implements sessionpb.ProvisioningServer.
func (s *provisioning) Commit(ctx context.Context, m *sessionpb.CommitRequest) (*sessionpb.CommitResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	commit, err := readCommit(m)
	if err != nil {
		return nil, err
	}
	card, err := s.provider.Commit(ctx, c.peer, commit)
	return &sessionpb.CommitResponse{Card: writeCard(card)}, err
}

// Attest implements sessionpb.ProvisioningServer.
func (s *provisioning) Attest(ctx context.Context, m *sessionpb.AttestRequest) (*sessionpb.AttestResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	vault, err := readID(m.GetVault())
	if err != nil {
		return nil, err
	}
	if len(m.GetChallenge()) == 0 || len(m.GetChallenge()) > MaxProof {
		return nil, fmt.Errorf("%w: a challenge of %d bytes", ErrBadRequest, len(m.GetChallenge()))
	}
	a, err := s.provider.Attest(ctx, c.peer, vault, m.GetChallenge())
	if err != nil {
		return nil, err
	}
	return &sessionpb.AttestResponse{Identity: tame(a.Identity, MaxText), Key: a.Key, Record: a.Record, Signature: a.Signature}, nil
}

// Authorize implements sessionpb.ProvisioningServer.
func (s *provisioning) Authorize(ctx context.Context, m *sessionpb.AuthorizeRequest) (*sessionpb.AuthorizeResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	vault, err := readID(m.GetVault())
	if err != nil {
		return nil, err
	}
	if len(m.GetRecord()) > MaxProof {
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrTooLarge, len(m.GetRecord()))
	}
	card, err := s.provider.Authorize(ctx, c.peer, vault, m.GetRecord())
	return &sessionpb.AuthorizeResponse{Card: writeCard(card)}, err
}

// Unpair implements sessionpb.ProvisioningServer.
func (s *provisioning) Unpair(ctx context.Context, _ *sessionpb.UnpairRequest) (*sessionpb.UnpairResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.provider.Unpair(ctx, c.peer); err != nil {
		return nil, err
	}
	c.revoke()
	return &sessionpb.UnpairResponse{}, nil
}
