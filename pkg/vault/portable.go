package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrPortable is wrapped when bytes are no portable data set, or a damaged one.
var ErrPortable = errors.New("not a portable data set")

// Limits of a portable data set.
const (
	MaxPortable      = 16 << 20 // bytes
	MaxPortableBlobs = 4096
)

const (
	portableMagic  = "RPPD"
	portableFormat = 1
)

// Portable is what goes on the card: enough to restore the service books and
// the keys with no more than the card and a way to open one of the slots
// (paragraph 31 of the seed). Everything in it but ids, times and the kinds of
// slots is sealed.
type Portable struct {
	// Record is the vault's, without its Owner, which means something only to
	// the reader that wrote it.
	Record Record
	// Snapshot has no Blobs and no Bytes.
	Snapshot SnapshotRecord
	// Blobs are all blobs of the critical part, in the order of Critical, or those of its
	// service books, in the order of Books: the keys are left out then.
	Blobs []StoredBlob
}

// BooksOnly tells whether the keys are left out.
func (p Portable) BooksOnly() bool {
	return len(p.Snapshot.Books) > 0 && len(p.Blobs) == len(p.Snapshot.Books)
}

// Books is the data set without the keys, for a card that has no room for both; false
// where there is nothing to leave out.
func (p Portable) Books() (Portable, bool) {
	if len(p.Snapshot.Books) == 0 || p.BooksOnly() {
		return p, false
	}
	books := p
	books.Blobs = nil
	for _, b := range p.Blobs {
		if slices.Contains(p.Snapshot.Books, b.ID) {
			books.Blobs = append(books.Blobs, b)
		}
	}
	return books, true
}

// NewPortable collects what goes on the card for a snapshot; get gives its
// blobs.
func NewPortable(r Record, s SnapshotRecord, get func(BlobID) ([]byte, error)) (Portable, error) {
	r.Owner, r.Behind, r.Since = "", false, 0
	ids := s.Critical
	if s.BooksOnly() {
		ids = s.Books
	}
	s.Blobs, s.Bytes = nil, 0
	p := Portable{Record: r, Snapshot: s}
	for _, id := range ids {
		sealed, err := get(id)
		if err != nil {
			return Portable{}, fmt.Errorf("cannot collect what goes on the card: %w", err)
		}
		p.Blobs = append(p.Blobs, StoredBlob{ID: id, Sealed: sealed})
	}
	return p, nil
}

// Adopted is the record of the snapshot in a store that takes it up after head,
// nil for a vault's first. ErrStale says that it is not newer.
func (p Portable) Adopted(head *SnapshotRecord) (SnapshotRecord, error) {
	if err := p.check(); err != nil {
		return SnapshotRecord{}, err
	}
	if p.Snapshot.Seq > MaxSeq/2 {
		return SnapshotRecord{}, fmt.Errorf("%w: generation %d: %w", ErrPortable, p.Snapshot.Seq, ErrLimit)
	}
	if head != nil && p.Snapshot.Seq <= head.Seq {
		return SnapshotRecord{}, fmt.Errorf("%w: generation %d, the head has %d", ErrStale, p.Snapshot.Seq, head.Seq)
	}
	s := p.Snapshot
	s.Critical, s.Books = slices.Clone(s.Critical), slices.Clone(s.Books)
	for _, b := range p.Blobs {
		s.Blobs = append(s.Blobs, b.ID)
		s.Bytes += int64(len(b.Sealed))
	}
	return s, nil
}

// Fetch is a Fetch from the blobs on the card, for LoadCritical.
func (p Portable) Fetch(ctx context.Context, ids []BlobID, got func(BlobID, []byte) error) error {
	for _, id := range ids {
		sealed, err := p.Blob(ctx, id)
		if err != nil {
			return err
		}
		if err := got(id, sealed); err != nil {
			return err
		}
	}
	return nil
}

// Blob returns one sealed blob, for NewPackReader; a BlobError of ErrNoBlob
// when the card does not hold it.
func (p Portable) Blob(_ context.Context, id BlobID) ([]byte, error) {
	for _, b := range p.Blobs {
		if b.ID == id {
			return b.Sealed, nil
		}
	}
	return nil, &BlobError{ID: id, Err: ErrNoBlob}
}

type blobWire struct {
	_      struct{} `cbor:",toarray"`
	ID     []byte
	Sealed []byte
}

type portableWire struct {
	Blobs    uint32 `cbor:"1,keyasint"`
	Record   []byte `cbor:"2,keyasint"`
	Snapshot []byte `cbor:"3,keyasint"`
	Books    []byte `cbor:"4,keyasint,omitempty"` // which blobs the service books need: bit 7 of the first byte is the first blob
}

// Marshal encodes the data set: blobs first, in order, and what changes with
// every snapshot after them. So the encodings of two consecutive snapshots are
// alike up to the first blob that is new, and a card need not write it again.
func (p Portable) Marshal() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Record.Owner != "" {
		return nil, fmt.Errorf("%w: an owner", ErrPortable)
	}
	var body []byte
	for _, blob := range p.Blobs {
		b, err := encodeCBOR(&blobWire{ID: blob.ID[:], Sealed: blob.Sealed})
		if err != nil {
			return nil, err
		}
		body = append(body, b...)
	}
	tail, err := p.tail()
	if err != nil {
		return nil, err
	}
	out := frame(portableMagic, portableFormat, append(body, tail...))
	if len(out) > MaxPortable {
		return nil, fmt.Errorf("cannot encode a portable data set of %d bytes: %w", len(out), ErrLimit)
	}
	return out, nil
}

func (p Portable) tail() ([]byte, error) {
	record, err := p.Record.MarshalBinary()
	if err != nil {
		return nil, err
	}
	s := p.Snapshot
	if s.Books = nil; !p.BooksOnly() {
		s.Critical = nil // the blobs tell
	}
	snapshot, err := s.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return encodeCBOR(&portableWire{Blobs: uint32(len(p.Blobs)), Record: record, Snapshot: snapshot, Books: p.booksWire()})
}

func (p Portable) check() error {
	ids := p.Snapshot.Critical
	if p.BooksOnly() {
		ids = p.Snapshot.Books
	}
	if len(p.Snapshot.Blobs) > 0 || p.Snapshot.Bytes != 0 || len(p.Blobs) != len(ids) {
		return fmt.Errorf("%w: blobs that do not fit the snapshot", ErrPortable)
	}
	if len(p.Snapshot.Critical) > MaxPortableBlobs {
		return fmt.Errorf("%w: %d blobs: %w", ErrPortable, len(p.Snapshot.Critical), ErrLimit)
	}
	for i, b := range p.Blobs {
		if b.ID != ids[i] || len(b.Sealed) < SealOverhead || len(b.Sealed) > MaxBlob {
			return fmt.Errorf("%w: blob %s of %d bytes is not the one in its place", ErrPortable, b.ID, len(b.Sealed))
		}
	}
	if marked := p.marked(p.booksWire()); !slices.Equal(marked, p.Snapshot.Books) || len(marked) > 0 && len(marked) == len(p.Snapshot.Critical) {
		return fmt.Errorf("%w: the blobs of the service books are not a part of all, in their order", ErrPortable)
	}
	return uniqueIDs(p.Snapshot.Critical)
}

// booksWire marks the critical blobs that the service books need, a bit for each blob.
func (p Portable) booksWire() []byte {
	if len(p.Snapshot.Books) == 0 {
		return nil
	}
	marks := make([]byte, (len(p.Snapshot.Critical)+7)/8)
	next := 0
	for i, id := range p.Snapshot.Critical {
		if next < len(p.Snapshot.Books) && id == p.Snapshot.Books[next] {
			marks[i/8] |= 0x80 >> (i % 8)
			next++
		}
	}
	return marks
}

// marked is the blobs that booksWire marked.
func (p Portable) marked(marks []byte) []BlobID {
	var books []BlobID
	for i, id := range p.Snapshot.Critical {
		if i/8 < len(marks) && marks[i/8]&(0x80>>(i%8)) != 0 {
			books = append(books, id)
		}
	}
	return books
}

// UnmarshalPortable reads what Marshal wrote and checks its digest, its limits
// and that it is the one allowed encoding. Errors wrap ErrPortable.
func UnmarshalPortable(b []byte) (Portable, error) {
	p, err := unmarshalPortable(b)
	if err != nil {
		return Portable{}, fmt.Errorf("%w: %w", ErrPortable, err)
	}
	if err = p.check(); err == nil && p.Record.Owner != "" {
		err = fmt.Errorf("%w: an owner", ErrPortable)
	}
	return p, err
}

func unmarshalPortable(b []byte) (p Portable, err error) {
	rest, err := unframe(portableMagic, portableFormat, b, MaxPortable)
	if err != nil {
		return p, err
	}
	for len(rest) > 0 && rest[0]>>5 == 4 { // an array: a blob
		var w blobWire
		if rest, err = decodeFirst(rest, &w); err != nil {
			return p, err
		}
		if len(w.ID) != idSize || len(p.Blobs) == MaxPortableBlobs {
			return p, fmt.Errorf("blob %d: %w", len(p.Blobs), ErrBadID)
		}
		p.Blobs = append(p.Blobs, StoredBlob{ID: BlobID(w.ID), Sealed: w.Sealed})
	}
	err = p.takeTail(rest)
	return p, err
}

func (p *Portable) takeTail(b []byte) error {
	var w portableWire
	if err := decodeCBOR(b, &w); err != nil {
		return err
	}
	if int(w.Blobs) != len(p.Blobs) {
		return fmt.Errorf("%d blobs of %d", len(p.Blobs), w.Blobs)
	}
	if err := p.Record.UnmarshalBinary(w.Record); err != nil {
		return err
	}
	if err := p.Snapshot.UnmarshalBinary(w.Snapshot); err != nil {
		return err
	}
	if len(p.Snapshot.Books) > 0 || len(p.Snapshot.Critical) > 0 && len(p.Snapshot.Critical) <= len(p.Blobs) {
		return fmt.Errorf("critical blobs are listed twice")
	}
	if len(p.Snapshot.Critical) == 0 {
		for _, blob := range p.Blobs {
			p.Snapshot.Critical = append(p.Snapshot.Critical, blob.ID)
		}
	}
	if p.Snapshot.Books = p.marked(w.Books); !bytes.Equal(w.Books, p.booksWire()) {
		return fmt.Errorf("marks of %d bytes for %d blobs", len(w.Books), len(p.Snapshot.Critical))
	}
	return nil
}
