package device

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// upload carries blobs to the reader while the writer makes the next ones. It
// lives from startUpload to finish.
type upload struct {
	session *session.Session
	vault   vault.VaultID
	ask     bool // the reader may have some of the blobs
	unsent  *unsent
	epoch   uint64 // of the vault's keys
	blobs   chan session.Blob
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // of the sending; read after done
}

// errUploadEnded is what put returns when sending has failed; finish knows why.
var errUploadEnded = errors.New("the upload has ended")

func startUpload(ctx context.Context, s *session.Session, id vault.VaultID, ask bool, left *unsent, epoch uint64) *upload {
	ctx, cancel := context.WithCancel(ctx)
	u := &upload{
		session: s, vault: id, ask: ask, unsent: left, epoch: epoch, blobs: make(chan session.Blob), cancel: cancel, done: make(chan struct{}),
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
			u.unsent.hold(b, u.epoch)
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
// had the same contents, it is asked first, and is not sent what it has: not even the
// beginning of the one on which the link was cut.
func (u *upload) put(ctx context.Context, b vault.Blob) error {
	out := session.Blob{ID: b.ID, Part: uint8(b.Part), Data: b.Sealed}
	if u.ask {
		want, err := u.session.Ask(ctx, u.vault, b.ID)
		if err != nil || !want.Missing {
			return err
		}
		out = u.unsent.goOn(out, want, u.epoch)
	}
	select {
	case u.blobs <- out:
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
	if u.err == nil {
		u.unsent.hold(session.Blob{}, 0)
	}
	if failed != nil && (u.err == nil || !errors.Is(failed, errUploadEnded)) {
		return failed
	}
	return u.err
}

// unsent is the sealed blob that was being sent last. What is sealed again is sealed
// otherwise: only these bytes go on with what the reader has of it. They are in memory, for
// as long as the key slots are those that they were sealed under.
type unsent struct {
	mu    sync.Mutex
	blob  session.Blob
	epoch uint64
}

// hold notes what is being sent; the zero Blob for nothing.
func (u *unsent) hold(b session.Blob, epoch uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b.From = 0
	u.blob, u.epoch = b, epoch
}

// goOn puts the blob that was being sent in the place of the same one, sealed anew, if the
// reader wants the rest of it.
func (u *unsent) goOn(b session.Blob, want session.Want, epoch uint64) session.Blob {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.blob.ID != b.ID || len(u.blob.Data) != len(b.Data) || u.epoch != epoch || !want.Fits(u.blob.Data) {
		return b
	}
	b.Data, b.From = u.blob.Data, want.Begun
	return b
}

// epochOf tells the states of the vault's keys apart: a rotation that is planned is
// another, too.
func (d *Daemon) epochOf() uint64 {
	held, err := d.keys.VaultKey()
	if err != nil {
		return 0
	}
	epoch := 2*held.Epoch + 1
	if held.Next != nil {
		epoch++
	}
	return epoch
}
