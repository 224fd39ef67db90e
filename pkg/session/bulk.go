package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// Put sends blobs, in pieces between which other calls pass, and returns how
// many the reader stored. An error of the iterator ends it and is returned.
// What was sent before an error may have been stored.
func (s *Session) Put(ctx context.Context, vault ID, blobs iter.Seq2[Blob, error]) (int, error) {
	const call = "put blobs"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream when the iterator fails
	stream, err := s.rpc.Put(ctx)
	if err != nil {
		return 0, s.result(ctx, call, err)
	}
	if err := putAll(vault, blobs, bulkStream{ctx, s.wire.pace, stream.Send}); err != nil && !errors.Is(err, io.EOF) {
		return 0, s.result(ctx, call, err)
	}
	// After io.EOF the answer holds the reader's error.
	m, err := stream.CloseAndRecv()
	if err != nil {
		return 0, s.result(ctx, call, err)
	}
	return int(min(m.GetStored(), math.MaxInt32)), nil
}

func putAll(vault ID, blobs iter.Seq2[Blob, error], out bulkStream) error {
	first := vault[:]
	for b, err := range blobs {
		if err != nil {
			return err
		}
		if err := out.blob(first, b); err != nil {
			return err
		}
		first = nil
	}
	return nil
}

// Get fetches blobs in the order asked for and calls f with each, whole; its
// data is f's to keep. Of the first, what an earlier call brought is not sent again; the
// bytes of such a blob may not fit together, which the seal tells, too: then it is to be had
// whole. Get fails unless every blob asked for came exactly once, but
// nothing tells yet that the bytes are right: the seal does. Bytes that arrived
// before an error were given to f.
func (s *Session) Get(ctx context.Context, q BlobQuery, f func(Blob) error) error {
	critical := q.Critical
	for ids := q.IDs; len(ids) > 0; {
		n := min(len(ids), MaxIDs)
		q.IDs = ids[:n]
		q.Critical = critical && n == len(ids)
		if err := s.get(ctx, q, f); err != nil {
			return err
		}
		ids, q.Have = ids[n:], nil
	}
	return nil
}

func (s *Session) get(ctx context.Context, q BlobQuery, f func(Blob) error) error {
	const call = "get blobs"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream when f fails
	stream, err := s.rpc.Get(ctx, &sessionpb.GetRequest{
		Vault: q.Vault[:], Ids: writeIDs(q.IDs), FromCard: q.FromCard, Snapshot: optionalID(q.Snapshot),
		Offset: uint64(len(q.Have)), Critical: q.Critical,
	})
	if err != nil {
		return s.result(ctx, call, err)
	}
	wanted := q.IDs
	a := assembler{id: wanted[0], have: q.Have}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return withheld(call, a, wanted)
		}
		if err != nil {
			return a.cut(wanted, s.result(ctx, call, err))
		}
		b, whole, err := a.add(piece)
		if err != nil {
			return broken(call, err)
		}
		if !whole {
			continue
		}
		switch {
		case len(wanted) == 0 && q.Critical:
		case len(wanted) == 0 || b.ID != wanted[0]:
			return broken(call, fmt.Errorf("blob %s was not its turn", hexID(b.ID)))
		default:
			wanted = wanted[1:]
		}
		if err := f(b); err != nil {
			return err
		}
	}
}

// cut adds what has come of the blob whose turn it was to an error.
func (a assembler) cut(wanted []ID, err error) error {
	switch {
	case a.begun && len(a.blob.Data) > 0 && len(wanted) > 0 && a.blob.ID == wanted[0]:
		return &CutShort{Blob: a.blob, Err: err}
	case !a.begun && len(a.have) > 0:
		return &CutShort{Blob: Blob{ID: a.id, Data: a.have}, Err: err}
	}
	return err
}

// withheld is the error about blobs that did not come although the reader
// reported none.
func withheld(call string, a assembler, wanted []ID) error {
	if a.begun || len(wanted) > 0 {
		return broken(call, fmt.Errorf("%d blobs were withheld", len(wanted)))
	}
	return nil
}
