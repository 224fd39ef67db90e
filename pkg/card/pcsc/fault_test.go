//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// TestPulledByTheCard pulls the card in the middle of commands, where pcscd may
// report success with an empty answer, at some of the APDUs of a commit: at all
// of them it is pulled without pcscd, by the suites of the profiles.
func TestPulledByTheCard(t *testing.T) {
	for name, test := range map[string]struct {
		options virtual.Options
		cuts    []int
	}{
		"files": {virtual.Options{}, []int{2, 6, 11}},
		"PIV":   {virtual.Options{PIV: &virtual.PIV{}}, []int{2, 6, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, test.options)
			reader := pcsc.New(r.config(nil))
			if err := errors.Join(withCard(t, reader, format), withCard(t, reader, commit(1, "one"))); err != nil {
				t.Fatal(err)
			}
			for _, n := range test.cuts {
				r.card.SetHook(virtual.FaultAt(n, virtual.PullAfter))
				err := withCard(t, reader, commit(2, "two"))
				if !errors.Is(err, card.ErrNoCard) { // before the profile was known, it is tried again
					want(t, err, card.ErrRemoved)
				}
				r.card.SetHook(nil)
				<-r.plug.Done()
				r.pull()
				r.insert()
				loads(t, reader, "one")
			}
			if err := withCard(t, reader, commit(2, "two")); err != nil {
				t.Fatal(err)
			}
			loads(t, reader, "two")
		})
	}
}

// TestMuteCard checks that a card that never answers blocks nobody for ever, and
// that all is well once it is pulled.
func TestMuteCard(t *testing.T) {
	r := newRig(t, virtual.Options{})
	reader := pcsc.New(r.config(nil))
	if err := errors.Join(withCard(t, reader, format), withCard(t, reader, commit(1, "one"))); err != nil {
		t.Fatal(err)
	}
	c := r.config(nil)
	c.APDUTimeout = 2 * time.Second // what answers answers within it on a busy machine, too
	reader = pcsc.New(c)
	r.card.SetHook(virtual.FaultAt(5, virtual.Mute))
	want(t, withCard(t, reader, commit(2, "two")), card.ErrTimeout)
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	want(t, reader.WithCard(short, commit(2, "two")), card.ErrBusy)
	r.card.SetHook(nil)
	r.pull()
	r.insert()
	loads(t, reader, "one")
}

// TestExchangedUnseen exchanges the card faster than the service looks.
func TestExchangedUnseen(t *testing.T) {
	r := newRig(t, virtual.Options{})
	reader := pcsc.New(r.config(nil))
	if err := withCard(t, reader, format); err != nil {
		t.Fatal(err)
	}
	second, err := virtual.New(virtual.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = withCard(t, reader, func(ctx context.Context, m card.Medium) error {
		r.plug.Pull()
		plug, err := second.Insert(ctx, service.daemon.Address(r.reader))
		if err != nil {
			return err
		}
		r.plug = plug
		return card.NewStore(m).Commit(ctx, 1, []byte("for the first card"))
	})
	want(t, err, card.ErrRemoved)
	if len(second.Files()) != 0 {
		t.Fatal("the other card was written")
	}
}
