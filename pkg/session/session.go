package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// Session is a device's session with its reader. Its calls may be made
// concurrently; each returns an error that wraps ErrDisconnected when the
// session ends meanwhile, the context's error when that ends first, and a
// *RemoteError for what the reader refused.
type Session struct {
	*channel
	rpc sessionpb.ProvisioningClient
}

func newSession(c *channel) *Session {
	return &Session{channel: c, rpc: sessionpb.NewProvisioningClient(c.client)}
}

// Hello exchanges names, and must be the first call. Made again it tells what has
// changed, and is a sign of life of the reader. ErrProtocol means that the
// two speak no common version.
func (s *Session) Hello(ctx context.Context, mine Hello) (Hello, error) {
	const call = "say hello"
	m, err := s.rpc.Hello(ctx, &sessionpb.HelloRequest{
		Protocol: Protocol, DeviceName: tame(mine.Name, MaxName), Backup: writePlan(mine.Backup),
	})
	if err != nil {
		return Hello{}, s.result(ctx, call, err)
	}
	if m.GetProtocol() != Protocol {
		return Hello{}, fmt.Errorf("cannot %s: %w: the reader speaks version %d", call, ErrProtocol, m.GetProtocol())
	}
	run, err := readOptionalID(m.GetRun())
	if err != nil {
		return Hello{}, broken(call, err)
	}
	return Hello{Name: tame(m.GetReaderName(), MaxName), Card: readCard(m.GetCard()), Run: run}, nil
}

// Events calls f with each event until the context or the session ends, or f
// returns an error. Its error is never nil.
func (s *Session) Events(ctx context.Context, f func(Event) error) error {
	const call = "hear events"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream when f fails
	stream, err := s.rpc.Events(ctx, &sessionpb.EventsRequest{})
	if err != nil {
		return s.result(ctx, call, err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return s.result(ctx, call, err)
		}
		if e, ok := readEvent(m); ok {
			if err := f(e); err != nil {
				return err
			}
		}
	}
}

// Vaults asks whether the reader has data of this device or its user (step 612).
func (s *Session) Vaults(ctx context.Context) ([]Vault, error) {
	const call = "list vaults"
	m, err := s.rpc.Vaults(ctx, &sessionpb.VaultsRequest{})
	if err != nil {
		return nil, s.result(ctx, call, err)
	}
	vaults := make([]Vault, 0, len(m.GetVaults()))
	for _, v := range m.GetVaults() {
		vault, err := readVault(v)
		if err != nil {
			return nil, broken(call, err)
		}
		vaults = append(vaults, vault)
	}
	return vaults, nil
}

// broken is the error about an answer that makes no sense.
func broken(call string, err error) error {
	return fmt.Errorf("cannot %s: %w: %w", call, ErrProtocol, err)
}

// CreateVault makes a vault, which the device then owns.
func (s *Session) CreateVault(ctx context.Context, v NewVault) error {
	_, err := s.rpc.CreateVault(ctx, &sessionpb.CreateVaultRequest{Id: v.ID[:], Label: v.Label, Slots: writeSlots(v.Slots)})
	return s.result(ctx, "create vault", err)
}

// Exporter is the channel binding of this session (RFC 9266), 32 bytes: the same
// on both sides.
func (s *Session) Exporter() ([]byte, error) { return exporter(s.wire.ConnectionState()) }

// ClaimVault makes this device, a replacement, the owner of a vault that has a
// reader slot or that it has unlocked in this session, and returns the slots that it
// may have. ErrNotAllowed: neither is so.
func (s *Session) ClaimVault(ctx context.Context, vault ID) ([]Slot, error) {
	const call = "claim vault"
	m, err := s.rpc.ClaimVault(ctx, &sessionpb.ClaimVaultRequest{Id: vault[:]})
	if err != nil {
		return nil, s.result(ctx, call, err)
	}
	slots, err := readSlots(m.GetSlots())
	if err != nil {
		return nil, broken(call, err)
	}
	return slots, nil
}

// Snapshots lists a vault's snapshots, newest first, in as many calls as it takes.
func (s *Session) Snapshots(ctx context.Context, q SnapshotQuery) ([]Snapshot, error) {
	var all []Snapshot
	for {
		page, more, err := s.snapshots(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if q.Limit > 0 && len(all) >= q.Limit {
			return all[:q.Limit], nil
		}
		if !more {
			return all, nil
		}
		q.From = page[len(page)-1].Seq - 1
	}
}

// snapshots gets one page, and tells whether there is another. Sequence numbers
// must fall from 1 at least: else a reader could keep a device asking for ever.
func (s *Session) snapshots(ctx context.Context, q SnapshotQuery) ([]Snapshot, bool, error) {
	const call = "list snapshots"
	m, err := s.rpc.Snapshots(ctx, &sessionpb.SnapshotsRequest{
		Vault: q.Vault[:], From: q.From, Limit: uint32(min(max(q.Limit, 0), MaxIDs)),
	})
	if err != nil {
		return nil, false, s.result(ctx, call, err)
	}
	page := make([]Snapshot, 0, len(m.GetSnapshots()))
	next := q.From
	for _, sm := range m.GetSnapshots() {
		snapshot, err := readSnapshot(sm)
		if err != nil {
			return nil, false, broken(call, err)
		}
		first := len(page) == 0 && next == 0
		if snapshot.Seq == 0 || !first && snapshot.Seq > next {
			return nil, false, broken(call, fmt.Errorf("snapshot %d is out of order", snapshot.Seq))
		}
		next = snapshot.Seq - 1
		page = append(page, snapshot)
	}
	if m.GetMore() && len(page) == 0 {
		return nil, false, broken(call, errors.New("an empty page before the last"))
	}
	return page, m.GetMore() && next > 0, nil
}

// Missing tells which of the blobs the reader does not have yet.
func (s *Session) Missing(ctx context.Context, vault ID, ids []ID) ([]ID, error) {
	const call = "ask for missing blobs"
	var missing []ID
	for len(ids) > 0 {
		n := min(len(ids), MaxIDs)
		m, err := s.rpc.Missing(ctx, &sessionpb.MissingRequest{Vault: vault[:], Ids: writeIDs(ids[:n])})
		if err != nil {
			return nil, s.result(ctx, call, err)
		}
		some, err := readIDs(m.GetIds())
		if err != nil {
			return nil, broken(call, err)
		}
		missing = append(missing, some...)
		ids = ids[n:]
	}
	return missing, nil
}

// Ask tells whether the reader has a blob, and what came of it before a link was cut.
func (s *Session) Ask(ctx context.Context, vault, id ID) (Want, error) {
	const call = "ask for a blob"
	m, err := s.rpc.Missing(ctx, &sessionpb.MissingRequest{Vault: vault[:], Ids: writeIDs([]ID{id})})
	if err != nil {
		return Want{}, s.result(ctx, call, err)
	}
	missing, err := readIDs(m.GetIds())
	if err != nil {
		return Want{}, broken(call, err)
	}
	w := Want{Missing: slices.Contains(missing, id)}
	if w.Missing && len(m.GetSum()) == len(w.Sum) && m.GetBegun() <= MaxBlob {
		w.Begun, w.Sum = int(m.GetBegun()), [sha256.Size]byte(m.GetSum())
	}
	return w, nil
}

// Commit makes the blobs that were put a snapshot, and returns the card's state
// after it. ErrStale: the parent is not the head any more.
func (s *Session) Commit(ctx context.Context, c Commit) (CardState, error) {
	m, err := s.rpc.Commit(ctx, writeCommit(c))
	if err != nil {
		return CardState{}, s.result(ctx, "commit snapshot", err)
	}
	return readCard(m.GetCard()), nil
}

// Unpair asks the reader to forget this device. The session is of no more use.
func (s *Session) Unpair(ctx context.Context) error {
	_, err := s.rpc.Unpair(ctx, &sessionpb.UnpairRequest{})
	return s.result(ctx, "unpair", err)
}
