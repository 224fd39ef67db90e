package device

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// welcomed is a device that a session has just begun with, and whether it may back up
// by itself with a backup that is due.
func welcomed(t *testing.T, known *vault.DataSet) (d *Daemon, may func(*session.Session) bool) {
	t.Helper()
	d = &Daemon{
		auto: openAuto(t, t.TempDir(), config.Backup{Every: config.Duration{Duration: time.Hour}}),
		book: &book{dataSet: known}, wishes: newWishes(), drills: make(chan struct{}, 1),
	}
	return d, func(s *session.Session) bool { return d.auto.due(s) }
}

// TestNoBackupBeforeTheOffer: a replacement whose notes cannot be compared with the reader's
// does not back up by itself, as what the owner is to be offered would then be passed
// over for good.
func TestNoBackupBeforeTheOffer(t *testing.T) {
	d, may := welcomed(t, nil)
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		var greeted atomic.Int64
		s := new(session.Session)
		go d.welcome(t.Context(), s, func(context.Context) error {
			greeted.Add(1)
			if mended.Load() {
				return nil
			}
			return errors.New("the reader is busy")
		})
		for wait := greetFirst; wait < 2*greetLast; wait *= 2 {
			synctest.Wait()
			if may(s) {
				t.Fatalf("a backup may be made after %d greetings that failed", greeted.Load())
			}
			time.Sleep(min(wait, greetLast))
		}
		synctest.Wait()
		if l := d.wishes.take(); l == nil {
			t.Error("no look was asked for")
		}
		mended.Store(true)
		time.Sleep(greetLast)
		synctest.Wait()
		if n := greeted.Load(); !may(s) || n > 14 {
			t.Errorf("after %d greetings there may be none still", n)
		}
	})
}

// TestBackupOfWhatIsKnown: a device that knows what it saved has nothing to be offered.
func TestBackupOfWhatIsKnown(t *testing.T) {
	d, may := welcomed(t, new(vault.DataSet))
	s := new(session.Session)
	d.welcome(t.Context(), s, func(context.Context) error { return errors.New("the reader is busy") })
	if !may(s) {
		t.Error("no backup may be made")
	}
}

// TestNoWelcomeAfterTheSession: when it has ended nothing is waited for.
func TestNoWelcomeAfterTheSession(t *testing.T) {
	d, may := welcomed(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s := new(session.Session)
	d.welcome(ctx, s, func(context.Context) error { cancel(); return session.ErrDisconnected })
	if may(s) {
		t.Error("a backup may be made")
	}
}

// TestReaderOfManyCards: a reader that tells of another card all the time has the device
// compare notes and ask for a proof now and then, one at a time.
func TestReaderOfManyCards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var greeted, now, most, proven atomic.Int64
		strange, due := make(chan struct{}, 1), make(chan struct{}, 1)
		go greets(ctx, strange, func(context.Context) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(5 * time.Second)
			now.Add(-1)
			greeted.Add(1)
			return errors.New("the reader is busy")
		})
		go eachProof(ctx, due, nil, nil, func(news bool) bool {
			if !news {
				t.Error("a proof without news")
			}
			proven.Add(1)
			return true
		})
		for range 3000 {
			kick(strange)
			kick(due)
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if g, p := greeted.Load(), proven.Load(); g != 2 || most.Load() != 1 || p < 25 || p > 31 {
			t.Errorf("%d greetings, %d at once, %d proofs in half a minute", g, most.Load(), p)
		}
		cancel()
		time.Sleep(5 * time.Second) // until the last greeting has ended
	})
}

// TestBeatDoesNotRest: the heartbeat and the device's own doubt do not wait for the pause.
func TestBeatDoesNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		due, doubt, beat := make(chan struct{}, 1), make(chan struct{}, 1), make(chan time.Time, 1)
		var proven atomic.Int64
		go eachProof(ctx, due, doubt, beat, func(bool) bool { proven.Add(1); return true })
		kick(due)
		synctest.Wait()
		kick(due)
		synctest.Wait()
		kick(doubt)
		beat <- time.Now()
		synctest.Wait()
		if n := proven.Load(); n != 3 {
			t.Errorf("%d proofs before the pause is over; want 3", n)
		}
		time.Sleep(duePause)
		synctest.Wait()
		if n := proven.Load(); n != 4 {
			t.Errorf("%d proofs after it; want 4", n)
		}
		cancel()
	})
}
