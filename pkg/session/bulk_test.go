package session_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/reprovision/reprovision/pkg/session"
)

func TestPutAndGet(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	ctx := within(t)
	if err := s.CreateVault(ctx, session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	var blobs []session.Blob
	var ids []session.ID
	for n, size := range []int{0, 1, session.MaxPiece - 1, session.MaxPiece, session.MaxPiece + 1, 3 * session.MaxPiece, session.MaxBlob} {
		blobs = append(blobs, session.Blob{ID: id(n), Part: uint8(n % 2), Data: content(n, size)})
		ids = append(ids, id(n))
	}
	if missing, err := s.Missing(ctx, id(1), ids); err != nil || !slices.Equal(missing, ids) {
		t.Fatalf("Missing = %d ids, %v", len(missing), err)
	}
	if n, err := s.Put(ctx, id(1), sequence(blobs...)); err != nil || n != len(blobs) {
		t.Fatalf("Put = %d, %v", n, err)
	}
	if missing, err := s.Missing(ctx, id(1), append(ids, id(99))); err != nil || !slices.Equal(missing, []session.ID{id(99)}) {
		t.Errorf("Missing = %v, %v", missing, err)
	}
	slices.Reverse(ids)
	slices.Reverse(blobs)
	var got []session.Blob
	err := s.Get(ctx, session.BlobQuery{Vault: id(1), IDs: ids}, func(b session.Blob) error { got = append(got, b); return nil })
	if err != nil || len(got) != len(blobs) {
		t.Fatalf("Get gave %d blobs, %v", len(got), err)
	}
	for i, b := range blobs {
		if got[i].ID != b.ID || got[i].Part != b.Part || !bytes.Equal(got[i].Data, b.Data) {
			t.Errorf("blob of %d bytes came back changed", len(b.Data))
		}
	}
}

func TestPutNothing(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	if n, err := s.Put(within(t), id(1), sequence()); n != 0 || err != nil {
		t.Errorf("Put = %d, %v", n, err)
	}
	if err := s.Get(within(t), session.BlobQuery{Vault: id(1)}, nil); err != nil {
		t.Errorf("Get of nothing = %v", err)
	}
	if missing, err := s.Missing(within(t), id(1), nil); len(missing) != 0 || err != nil {
		t.Errorf("Missing of nothing = %v, %v", missing, err)
	}
}

func TestBulkFailures(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	ctx := within(t)
	if err := s.CreateVault(ctx, session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	large := session.Blob{ID: id(1), Data: make([]byte, session.MaxBlob+1)}
	if _, err := s.Put(ctx, id(1), sequence(large)); !errors.Is(err, session.ErrTooLarge) {
		t.Errorf("Put of a large blob = %v; want ErrTooLarge", err)
	}
	if _, err := s.Put(ctx, id(2), sequence(session.Blob{ID: id(1), Data: make([]byte, 1<<20)})); !errors.Is(err, session.ErrNoVault) {
		t.Errorf("Put into no vault = %v; want ErrNoVault", err)
	}
	failing := errors.New("cannot read the file")
	var broken iter.Seq2[session.Blob, error] = func(yield func(session.Blob, error) bool) { yield(session.Blob{}, failing) }
	if _, err := s.Put(ctx, id(1), broken); !errors.Is(err, failing) {
		t.Errorf("Put = %v; want the iterator's error", err)
	}
	if _, err := s.Put(ctx, id(1), sequence(session.Blob{ID: id(5), Data: []byte("x")})); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := s.Get(ctx, session.BlobQuery{Vault: id(1), IDs: []session.ID{id(5), id(6)}}, func(session.Blob) error { seen++; return nil })
	if !errors.Is(err, session.ErrNoData) || seen != 1 {
		t.Errorf("Get = %v after %d blobs; want ErrNoData after 1", err, seen)
	}
	err = s.Get(ctx, session.BlobQuery{Vault: id(1), IDs: []session.ID{id(5)}}, func(session.Blob) error { return failing })
	if !errors.Is(err, failing) {
		t.Errorf("Get = %v; want the callback's error", err)
	}
	if _, err := s.Hello(ctx, session.Hello{}); err != nil {
		t.Errorf("the session is spoilt: %v", err)
	}
}

// TestManyIDs asks for more than one list may hold.
func TestManyIDs(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	if err := s.CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	ids := make([]session.ID, session.MaxIDs+10)
	for i := range ids {
		ids[i] = id(i)
	}
	missing, err := s.Missing(within(t), id(1), ids)
	if err != nil || !slices.Equal(missing, ids) {
		t.Errorf("%d missing, %v", len(missing), err)
	}
	_, err = s.Commit(within(t), session.Commit{Vault: id(1), Snapshot: id(1), Seq: 1, Add: ids, Drop: ids, Critical: ids})
	if !errors.Is(err, session.ErrTooLarge) {
		t.Errorf("Commit of %d ids = %v; want ErrTooLarge", 3*len(ids), err)
	}
}

// TestSmallCallsPassBulk makes calls while a Get waits in the middle.
func TestSmallCallsPassBulk(t *testing.T) {
	r := newReader(t)
	hold := make(chan struct{})
	r.store.hold = hold
	s := r.session(t)
	if err := s.CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(within(t), id(1), sequence(session.Blob{ID: id(1), Data: content(1, 1<<20)})); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(within(t))
	for range 5 { // more than may run at once: the rest waits its turn
		wg.Go(func() {
			err := s.Get(ctx, session.BlobQuery{Vault: id(1), IDs: []session.ID{id(1)}}, func(session.Blob) error { return nil })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Get = %v; want context.Canceled", err)
			}
		})
	}
	for range 20 {
		if _, err := s.Hello(within(t), session.Hello{Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
	close(hold)
	err := s.Get(within(t), session.BlobQuery{Vault: id(1), IDs: []session.ID{id(1)}}, func(session.Blob) error { return nil })
	if err != nil {
		t.Errorf("Get after the cancelled ones: %v", err)
	}
}

// TestGetGoesOn cuts a Get at pieces of a blob and goes on with what came: in the end the
// blob is whole, and hardly more than its bytes were sent.
func TestGetGoesOn(t *testing.T) {
	r := newReader(t)
	key := newKey(t)
	r.pair(key, "phone")
	s := r.mustDial(t, key)
	if err := s.CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	want := []session.Blob{{ID: id(1), Data: content(1, 300<<10)}, {ID: id(2), Data: content(2, 10<<10)}}
	if _, err := s.Put(within(t), id(1), sequence(want...)); err != nil {
		t.Fatal(err)
	}
	q := session.BlobQuery{Vault: id(1), IDs: []session.ID{id(1), id(2)}}
	var got []session.Blob
	var sent uint64
	for try := 0; len(got) < len(want); try++ {
		if try > 20 {
			t.Fatal("it gets no further")
		}
		s := r.mustDial(t, key)
		ctx, cancel := context.WithCancel(within(t))
		go func() {
			for s.BytesReceived() < 60<<10 && ctx.Err() == nil {
				runtime.Gosched()
			}
			_ = s.Close() // as if the link were cut
		}()
		before := s.BytesReceived()
		err := s.Get(ctx, q, func(b session.Blob) error {
			got = append(got, b)
			q.IDs, q.Have = q.IDs[1:], nil
			return nil
		})
		cancel()
		sent += s.BytesReceived() - before
		if cut, ok := errors.AsType[*session.CutShort](err); ok && len(q.IDs) > 0 {
			if cut.Blob.ID != q.IDs[0] || len(cut.Blob.Data) < len(q.Have) || !errors.Is(err, session.ErrDisconnected) {
				t.Fatalf("%d bytes of %v, %v", len(cut.Blob.Data), cut.Blob.ID, err)
			}
			q.Have = cut.Blob.Data
		}
	}
	for i, b := range got {
		if b.ID != want[i].ID || !bytes.Equal(b.Data, want[i].Data) {
			t.Errorf("blob %d is not as it was stored", i)
		}
	}
	t.Logf("%d bytes sent", sent)
	if sent > 600<<10 {
		t.Errorf("%d bytes sent", sent)
	}
}

// TestHaveThatDoesNotFit asks a reader to go on with what it has not sent: it sends all.
func TestHaveThatDoesNotFit(t *testing.T) {
	r := newReader(t)
	s := r.session(t)
	if err := s.CreateVault(within(t), session.NewVault{ID: id(1)}); err != nil {
		t.Fatal(err)
	}
	want := content(1, 1000)
	if _, err := s.Put(within(t), id(1), sequence(session.Blob{ID: id(1), Data: want})); err != nil {
		t.Fatal(err)
	}
	for _, have := range []int{1000, 1001, 5000} {
		q := session.BlobQuery{Vault: id(1), IDs: []session.ID{id(1)}, Have: make([]byte, have)}
		err := s.Get(within(t), q, func(b session.Blob) error {
			if !bytes.Equal(b.Data, want) {
				t.Errorf("with %d bytes: %d others", have, len(b.Data))
			}
			return nil
		})
		if err != nil {
			t.Errorf("with %d bytes: %v", have, err)
		}
	}
}
