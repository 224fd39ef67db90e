package vault

import (
	"fmt"
	"time"
)

// The encodings of records, as a store and the card keep them.
type recordWire struct {
	ID      []byte     `cbor:"1,keyasint"`
	Owner   string     `cbor:"2,keyasint,omitempty"`
	Created int64      `cbor:"3,keyasint"` // seconds since the epoch
	Label   []byte     `cbor:"4,keyasint,omitempty"`
	Slots   []slotWire `cbor:"5,keyasint,omitempty"`
	Auth    []byte     `cbor:"6,keyasint,omitempty"`
	Epoch   uint64     `cbor:"7,keyasint,omitempty"`
	Voucher []byte     `cbor:"8,keyasint,omitempty"`
	Behind  bool       `cbor:"9,keyasint,omitempty"`
	Since   uint64     `cbor:"10,keyasint,omitempty"`
}

type slotWire struct {
	_    struct{} `cbor:",toarray"`
	Kind string
	Data []byte
}

type snapshotWire struct {
	Snapshot  []byte `cbor:"1,keyasint"`
	Parent    []byte `cbor:"2,keyasint"`
	Seq       uint64 `cbor:"3,keyasint"`
	Committed int64  `cbor:"4,keyasint"` // seconds since the epoch
	Header    []byte `cbor:"5,keyasint"`
	Blobs     []byte `cbor:"6,keyasint,omitempty"` // ids
	Critical  []byte `cbor:"7,keyasint,omitempty"` // ids
	Bytes     int64  `cbor:"8,keyasint,omitempty"`
	Voucher   []byte `cbor:"9,keyasint,omitempty"`
	Books     []byte `cbor:"10,keyasint,omitempty"` // ids
}

// MarshalBinary encodes the record as docs/formats.md says. It refuses one that
// Check refuses.
func (r Record) MarshalBinary() ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	w := recordWire{ID: r.ID[:], Owner: r.Owner, Created: r.Created.Unix(), Label: r.Label, Auth: r.Authorization, Epoch: r.Epoch, Voucher: r.Voucher, Behind: r.Behind, Since: r.Since}
	for _, s := range r.Slots {
		w.Slots = append(w.Slots, slotWire{Kind: s.Kind, Data: append([]byte{}, s.Data...)})
	}
	return encodeCBOR(&w)
}

// UnmarshalBinary reads what MarshalBinary wrote; errors wrap ErrRecord.
func (r *Record) UnmarshalBinary(b []byte) error {
	var w recordWire
	if err := decodeCBOR(b, &w); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if len(w.ID) != idSize {
		return fmt.Errorf("%w: %w", ErrRecord, ErrBadID)
	}
	got := Record{
		ID: VaultID(w.ID), Owner: w.Owner, Created: time.Unix(w.Created, 0).UTC(), Label: w.Label, Authorization: w.Auth,
		Epoch: w.Epoch, Voucher: w.Voucher, Behind: w.Behind, Since: w.Since,
	}
	for _, s := range w.Slots {
		got.Slots = append(got.Slots, Slot{Kind: s.Kind, Data: s.Data})
	}
	if err := got.Check(); err != nil {
		return err
	}
	*r = got
	return nil
}

// MarshalBinary encodes the record as docs/formats.md says.
func (s SnapshotRecord) MarshalBinary() ([]byte, error) {
	return encodeCBOR(&snapshotWire{
		Snapshot: s.Snapshot[:], Parent: s.Parent[:], Seq: s.Seq, Committed: s.Committed.Unix(),
		Header: append([]byte{}, s.Header...), Blobs: joinIDs(s.Blobs), Critical: joinIDs(s.Critical), Bytes: s.Bytes, Books: joinIDs(s.Books), Voucher: s.Voucher,
	})
}

// UnmarshalBinary reads what MarshalBinary wrote; errors wrap ErrRecord.
func (s *SnapshotRecord) UnmarshalBinary(b []byte) error {
	var w snapshotWire
	if err := decodeCBOR(b, &w); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if len(w.Snapshot) != idSize || len(w.Parent) != idSize {
		return fmt.Errorf("%w: snapshot: %w", ErrRecord, ErrBadID)
	}
	if w.Bytes < 0 || w.Seq == 0 || w.Seq > MaxSeq || len(w.Voucher) > MaxVoucher || len(w.Header) < SealOverhead || len(w.Header) > MaxHeader+2*SealOverhead {
		return fmt.Errorf("%w: generation %d, %d bytes, a header of %d", ErrRecord, w.Seq, w.Bytes, len(w.Header))
	}
	got := SnapshotRecord{
		Snapshot: SnapshotID(w.Snapshot), Parent: SnapshotID(w.Parent), Seq: w.Seq,
		Committed: time.Unix(w.Committed, 0).UTC(), Header: w.Header, Bytes: w.Bytes, Voucher: w.Voucher,
	}
	var err error
	if got.Blobs, err = splitIDs(w.Blobs, MaxCommitIDs); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if got.Critical, err = splitIDs(w.Critical, MaxCommitIDs); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if got.Books, err = splitIDs(w.Books, MaxCommitIDs); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	*s = got
	return nil
}
