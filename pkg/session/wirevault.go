package session

import (
	"fmt"
	"time"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
	"github.com/reprovision/reprovision/pkg/userdata"
)

func writeSlots(slots []Slot) []*sessionpb.Slot {
	out := make([]*sessionpb.Slot, 0, len(slots))
	for _, s := range slots {
		out = append(out, &sessionpb.Slot{Kind: s.Kind, Data: s.Data})
	}
	return out
}

func readSlots(list []*sessionpb.Slot) ([]Slot, error) {
	if len(list) > MaxSlots {
		return nil, fmt.Errorf("%w: %d slots", ErrTooLarge, len(list))
	}
	slots := make([]Slot, 0, len(list))
	for _, s := range list {
		if len(s.GetKind()) > MaxName || len(s.GetData()) > MaxSlotData {
			return nil, fmt.Errorf("%w: a slot", ErrTooLarge)
		}
		if userdata.Printable(s.GetKind()) != s.GetKind() {
			return nil, fmt.Errorf("%w: kind of a slot", ErrBadRequest)
		}
		slots = append(slots, Slot{Kind: s.GetKind(), Data: s.GetData()})
	}
	return slots, nil
}

func writeSnapshot(s Snapshot) *sessionpb.Snapshot {
	return &sessionpb.Snapshot{
		Id:                s.ID[:],
		Parent:            optionalID(s.Parent),
		Seq:               s.Seq,
		CommittedUnixNano: s.Committed.UnixNano(),
		Header:            s.Header,
		Bytes:             s.Bytes,
		CriticalOnly:      s.CriticalOnly,
		BooksOnly:         s.BooksOnly,
	}
}

func readSnapshot(m *sessionpb.Snapshot) (Snapshot, error) {
	id, err := readID(m.GetId())
	if err != nil {
		return Snapshot{}, err
	}
	parent, err := readOptionalID(m.GetParent())
	if err != nil {
		return Snapshot{}, err
	}
	if len(m.GetHeader()) > MaxHeader {
		return Snapshot{}, fmt.Errorf("%w: header of %d bytes", ErrTooLarge, len(m.GetHeader()))
	}
	if m.GetSeq() > MaxSeq {
		return Snapshot{}, fmt.Errorf("%w: generation %d", ErrTooLarge, m.GetSeq())
	}
	return Snapshot{
		ID:        id,
		Parent:    parent,
		Seq:       m.GetSeq(),
		Committed: time.Unix(0, m.GetCommittedUnixNano()).UTC(),
		Header:    m.GetHeader(),
		Bytes:     m.GetBytes(),

		CriticalOnly: m.GetCriticalOnly(),
		BooksOnly:    m.GetBooksOnly(),
	}, nil
}

func writeVault(v Vault) *sessionpb.Vault {
	m := &sessionpb.Vault{
		Id:          v.ID[:],
		Mine:        v.Mine,
		OwnerName:   tame(v.Owner, MaxName),
		CreatedUnix: v.Created.Unix(),
		Snapshots:   v.Snapshots,
		Slots:       writeSlots(v.Slots),
		OnCard:      v.OnCard,
		Label:       v.Label,
		Damaged:     writeIDs(v.Damaged),
		Epoch:       v.Epoch,
		Behind:      v.Behind,
	}
	if v.Head != nil {
		m.Head = writeSnapshot(*v.Head)
	}
	return m
}

func readVault(m *sessionpb.Vault) (Vault, error) {
	id, err := readID(m.GetId())
	if err != nil {
		return Vault{}, err
	}
	slots, err := readSlots(m.GetSlots())
	if err != nil {
		return Vault{}, err
	}
	if len(m.GetLabel()) > MaxLabel {
		return Vault{}, fmt.Errorf("%w: label of %d bytes", ErrTooLarge, len(m.GetLabel()))
	}
	damaged, err := readIDs(m.GetDamaged())
	if err != nil {
		return Vault{}, err
	}
	v := Vault{
		ID:        id,
		Mine:      m.GetMine(),
		Owner:     tame(m.GetOwnerName(), MaxName),
		Created:   time.Unix(m.GetCreatedUnix(), 0).UTC(),
		Snapshots: m.GetSnapshots(),
		Slots:     slots,
		OnCard:    m.GetOnCard(),
		Label:     m.GetLabel(),
		Epoch:     m.GetEpoch(),
		Behind:    m.GetBehind(),
	}
	if len(damaged) > 0 {
		v.Damaged = damaged
	}
	if m.GetHead() != nil {
		head, err := readSnapshot(m.GetHead())
		if err != nil {
			return Vault{}, err
		}
		v.Head = &head
	}
	return v, nil
}

func readNewVault(m *sessionpb.CreateVaultRequest) (NewVault, error) {
	id, err := readID(m.GetId())
	if err != nil {
		return NewVault{}, err
	}
	slots, err := readSlots(m.GetSlots())
	if err != nil {
		return NewVault{}, err
	}
	if len(m.GetLabel()) > MaxLabel {
		return NewVault{}, fmt.Errorf("%w: label of %d bytes", ErrTooLarge, len(m.GetLabel()))
	}
	return NewVault{ID: id, Label: m.GetLabel(), Slots: slots}, nil
}

func writeCommit(c Commit) *sessionpb.CommitRequest {
	return &sessionpb.CommitRequest{
		Vault:    c.Vault[:],
		Snapshot: c.Snapshot[:],
		Parent:   optionalID(c.Parent),
		Seq:      c.Seq,
		Header:   c.Header,
		Add:      writeIDs(c.Add),
		Drop:     writeIDs(c.Drop),
		Critical: writeIDs(c.Critical),
		Anew:     c.Anew,
		Voucher:  c.Voucher,
		Books:    writeIDs(c.Books),
	}
}

func readCommit(m *sessionpb.CommitRequest) (Commit, error) {
	c := Commit{Seq: m.GetSeq(), Header: m.GetHeader(), Anew: m.GetAnew(), Voucher: m.GetVoucher()}
	if len(c.Header) > MaxHeader || len(c.Voucher) > MaxVoucher {
		return Commit{}, fmt.Errorf("%w: header of %d bytes, voucher of %d", ErrTooLarge, len(c.Header), len(c.Voucher))
	}
	var err error
	if c.Vault, err = readID(m.GetVault()); err != nil {
		return Commit{}, err
	}
	if c.Snapshot, err = readID(m.GetSnapshot()); err != nil {
		return Commit{}, err
	}
	if c.Parent, err = readOptionalID(m.GetParent()); err != nil {
		return Commit{}, err
	}
	if c.Add, err = readIDs(m.GetAdd()); err != nil {
		return Commit{}, err
	}
	if c.Drop, err = readIDs(m.GetDrop()); err != nil {
		return Commit{}, err
	}
	if c.Critical, err = readIDs(m.GetCritical()); err != nil {
		return Commit{}, err
	}
	c.Books, err = readIDs(m.GetBooks())
	return c, err
}
