package device

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// aheadMost is how many bytes of blobs wait in memory for somebody to ask for them. A critical
// part that is larger is asked for in the usual way from there on.
const aheadMost = 2 << 20

// ahead is the critical part of a snapshot on its way before anybody has read in the index
// what it consists of: on a slow link each question costs as much as some kilobytes. It is for
// one session, and safe for concurrent use; a nil one has nothing.
type ahead struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing comes any more

	mu   sync.Mutex
	held map[session.ID]session.Blob // that came, and nobody has asked for
	size int                         // of them, in bytes
	over bool                        // no more comes
	err  error                       // why, where there ought to be more
	news chan struct{}               // closed and replaced at each change
}

// get is the Get of a session.
type get func(ctx context.Context, q session.BlobQuery, f func(session.Blob) error) error

var errAheadFull = errors.New("too much was sent before anybody asked for it")

// sendAhead has the blobs of a query come. They come until end is called, or the context ends.
func sendAhead(ctx context.Context, from get, q session.BlobQuery) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{cancel: cancel, done: make(chan struct{}), held: make(map[session.ID]session.Blob), news: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer cancel()
		err := from(ctx, q, a.keep)
		a.change(func() { a.over, a.err = true, err })
	}()
	return a
}

func (a *ahead) change(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
	close(a.news)
	a.news = make(chan struct{})
}

func (a *ahead) keep(b session.Blob) (err error) {
	a.change(func() {
		if a.size+len(b.Data) > aheadMost {
			err = errAheadFull
			return
		}
		a.held[b.ID] = b
		a.size += len(b.Data)
	})
	return err
}

// end lets go of what nobody has asked for.
func (a *ahead) end() {
	if a == nil {
		return
	}
	a.cancel()
	<-a.done
	a.change(func() { a.held, a.size = nil, 0 })
}

// get asks in the usual way for what is not on its way.
func (a *ahead) get(from get) get {
	if a == nil {
		return from
	}
	return func(ctx context.Context, q session.BlobQuery, f func(session.Blob) error) error {
		for len(q.IDs) > 0 {
			b, came, err := a.take(ctx, q.IDs[0])
			if err != nil {
				return err
			}
			if !came {
				return from(ctx, q, f)
			}
			if err := f(b); err != nil {
				return err
			}
			q.IDs, q.Have = q.IDs[1:], nil
		}
		return nil
	}
}

// take waits until the blob has come; false where it does not.
func (a *ahead) take(ctx context.Context, id session.ID) (b session.Blob, came bool, err error) {
	for {
		a.mu.Lock()
		b, came = a.held[id]
		delete(a.held, id)
		a.size -= len(b.Data)
		over, cut, news := a.over, a.err, a.news
		a.mu.Unlock()
		switch {
		case came:
			return b, true, nil
		case over:
			return b, false, cutWithin(cut, id)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return b, false, ctx.Err()
		}
	}
}

// cutWithin is the error where the link was cut in the middle of that very blob: what came of
// it is not to come again.
func cutWithin(err error, id session.ID) error {
	if cut, ok := errors.AsType[*session.CutShort](err); ok && cut.Blob.ID == id && errors.Is(err, session.ErrDisconnected) {
		return err
	}
	return nil
}

// begin has the reader send all of the critical part of a vault that was just taken over, where
// all of it is needed: nothing lies in its place, and nobody has chosen.
func (r *restoreRun) begin(ctx context.Context, v opened, head *session.Snapshot) {
	if r.ahead != nil || head == nil || !r.snapshot.IsZero() || !r.wantsAll() || !r.nothingCritical() {
		return
	}
	h, err := vault.OpenHeader(v.key, v.id, vault.SnapshotID(head.ID), head.Header)
	if err != nil {
		return // whoever needs it says so
	}
	if index := h.Index[vault.Critical]; len(index) > 0 {
		q := session.BlobQuery{Vault: v.id, IDs: plain(index), Snapshot: head.ID, Critical: true}
		r.ahead = sendAhead(ctx, r.session.Get, q)
	}
}

func (r *restoreRun) wantsAll() bool {
	return r.sel.Names == nil && len(r.sel.Classes) == 0 && len(r.sel.Below) == 0
}

// nothingCritical tells whether the directories of service books and keys are empty.
func (r *restoreRun) nothingCritical() bool {
	for _, root := range r.space.Roots() {
		if !root.Class.Critical() {
			continue
		}
		if there, err := os.ReadDir(root.Path); err != nil || len(there) > 0 {
			return false
		}
	}
	return true
}

// source is where blobs come from.
type source interface {
	Get(ctx context.Context, q session.BlobQuery, f func(session.Blob) error) error
}

// Get is get, as a session's.
func (g get) Get(ctx context.Context, q session.BlobQuery, f func(session.Blob) error) error {
	return g(ctx, q, f)
}

// source is the session, with what is on its way first.
func (r *restoreRun) source() source { return r.ahead.get(r.session.Get) }
