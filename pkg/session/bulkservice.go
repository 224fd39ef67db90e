package session

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/grpc"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// Put implements sessionpb.ProvisioningServer.
func (s *provisioning) Put(stream grpc.ClientStreamingServer[sessionpb.BlobPiece, sessionpb.PutResponse]) error {
	c, err := caller(stream.Context())
	if err != nil {
		return err
	}
	release, err := c.takeBulk(stream.Context())
	if err != nil {
		return err
	}
	defer release()
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return stream.SendAndClose(&sessionpb.PutResponse{})
	}
	if err != nil {
		return err
	}
	vault, err := readID(first.GetVault())
	if err != nil {
		return err
	}
	first.Vault = nil
	in := &inflow{
		first: first, recv: stream.Recv,
		begun: func(id ID) []byte { return s.begun.find(c.peer.ID, vault, id) },
		cut:   func(b Blob) { s.begun.keep(c.peer.ID, vault, b) },
		whole: func() { s.begun.drop(c.peer.ID, vault) },
	}
	stored, err := s.provider.Put(stream.Context(), c.peer, vault, in.blobs())
	if in.err != nil {
		return in.err
	}
	if err != nil {
		return err
	}
	return stream.SendAndClose(&sessionpb.PutResponse{Stored: uint64(max(0, stored))})
}

// inflow is the blobs of a Put. It remembers its error, whatever the provider
// makes of it.
type inflow struct {
	first *sessionpb.BlobPiece // received already
	recv  func() (*sessionpb.BlobPiece, error)
	err   error
	begun func(ID) []byte // what came of a blob earlier
	cut   func(Blob)      // takes what has come of one
	whole func()          // nothing of that is of use any more
}

func (in *inflow) next() (*sessionpb.BlobPiece, error) {
	if p := in.first; p != nil {
		in.first = nil
		return p, nil
	}
	return in.recv()
}

// blobs ends with the stream, or with the first error.
func (in *inflow) blobs() iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		for in.err == nil {
			b, err := in.blob()
			if errors.Is(err, io.EOF) {
				return
			}
			in.err = err
			if !yield(b, err) {
				return
			}
		}
	}
}

// blob returns io.EOF when there is no further one.
func (in *inflow) blob() (Blob, error) {
	var a assembler
	for {
		piece, err := in.next()
		if errors.Is(err, io.EOF) && a.begun {
			return Blob{}, fmt.Errorf("%w: the last blob is not whole", ErrBadRequest)
		}
		if err != nil {
			if a.begun && len(a.blob.Data) > 0 {
				in.cut(a.blob)
			}
			return Blob{}, err
		}
		if piece.GetOffset() > 0 && !a.begun {
			if a.id, err = readID(piece.GetId()); err != nil {
				return Blob{}, err
			}
			a.have = in.begun(a.id)
		}
		b, whole, err := a.add(piece)
		if whole {
			in.whole()
		}
		if whole || err != nil {
			return b, err
		}
	}
}

// Get implements sessionpb.ProvisioningServer.
func (s *provisioning) Get(m *sessionpb.GetRequest, stream grpc.ServerStreamingServer[sessionpb.BlobPiece]) error {
	c, err := caller(stream.Context())
	if err != nil {
		return err
	}
	vault, err := readID(m.GetVault())
	if err != nil {
		return err
	}
	ids, err := readIDs(m.GetIds())
	if err != nil {
		return err
	}
	snapshot, err := readOptionalID(m.GetSnapshot())
	if err != nil {
		return err
	}
	release, err := c.takeBulk(stream.Context())
	if err != nil {
		return err
	}
	defer release()
	q := BlobQuery{Vault: vault, IDs: ids, FromCard: m.GetFromCard(), Snapshot: snapshot, Critical: m.GetCritical()}
	out, offset := bulkStream{stream.Context(), c.pace, stream.Send}, m.GetOffset()
	return s.provider.Get(stream.Context(), c.peer, q, func(b Blob) error {
		from := 0
		if offset < uint64(len(b.Data)) {
			from = int(offset)
		}
		offset = 0
		return out.rest(nil, b, from)
	})
}
