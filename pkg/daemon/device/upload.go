package device

import (
	"context"
	"errors"
	"iter"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// upload carries blobs to the reader while the writer makes the next ones. It
// lives from startUpload to finish.
type upload struct {
	session *session.Session
	vault   vault.VaultID
	ask     bool // the reader may have some of the blobs
	blobs   chan session.Blob
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // of the sending; read after done
}

// errUploadEnded is what put returns when sending has failed; finish knows why.
var errUploadEnded = errors.New("the upload has ended")

func startUpload(ctx context.Context, s *session.Session, id vault.VaultID, ask bool) *upload {
	ctx, cancel := context.WithCancel(ctx)
	u := &upload{
		session: s, vault: id, ask: ask, blobs: make(chan session.Blob), cancel: cancel, done: make(chan struct{}),
	}
	go func() {
		defer close(u.done)
		u.err = u.run(ctx)
	}()
	return u
}

// run opens a stream once there is something to send.
func (u *upload) run(ctx context.Context) error {
	first, ok := u.next(ctx)
	if !ok {
		return ctx.Err()
	}
	_, err := u.session.Put(ctx, u.vault, u.all(ctx, first))
	return err
}

func (u *upload) next(ctx context.Context) (session.Blob, bool) {
	select {
	case b, ok := <-u.blobs:
		return b, ok
	case <-ctx.Done():
		return session.Blob{}, false
	}
}

func (u *upload) all(ctx context.Context, b session.Blob) iter.Seq2[session.Blob, error] {
	return func(yield func(session.Blob, error) bool) {
		for ok := true; ok; b, ok = u.next(ctx) {
			if !yield(b, nil) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(session.Blob{}, ctx.Err())
		}
	}
}

// put hands on one blob, and waits while the link is busy with others. Where the reader
// may have it, from an attempt that was cut short or from an earlier snapshot that
// had the same contents, it is asked first, and is not sent what it has.
func (u *upload) put(ctx context.Context, b vault.Blob) error {
	if u.ask {
		missing, err := u.session.Missing(ctx, u.vault, []session.ID{b.ID})
		if err != nil || len(missing) == 0 {
			return err
		}
	}
	select {
	case u.blobs <- session.Blob{ID: b.ID, Part: uint8(b.Part), Data: b.Sealed}:
		return nil
	case <-u.done:
		return errUploadEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish waits until the reader has stored everything, or gives up if making
// the blobs failed with the given error.
func (u *upload) finish(failed error) error {
	if failed == nil {
		close(u.blobs)
	} else {
		u.cancel()
	}
	<-u.done
	u.cancel()
	if failed != nil && (u.err == nil || !errors.Is(failed, errUploadEnded)) {
		return failed
	}
	return u.err
}
