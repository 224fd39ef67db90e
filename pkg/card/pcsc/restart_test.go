//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// TestServiceRestartedInCommit ends the service at each APDU of a commit, and starts it anew:
// the version before or the new one is on the card, and the reader goes on.
func TestServiceRestartedInCommit(t *testing.T) {
	for name, options := range map[string]virtual.Options{"files": {}, "PIV": {PIV: &virtual.PIV{}}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options)
			reader := pcsc.New(r.config(nil))
			if err := errors.Join(withCard(t, reader, format), withCard(t, reader, commit(1, "one"))); err != nil {
				t.Fatal(err)
			}
			held := uint64(1)
			for n := 1; ; n++ {
				if n > 60 {
					t.Fatal("no end of APDUs")
				}
				cut := r.commitRestarting(reader, n, held+1)
				held = r.generation(reader, held, held+1)
				if !cut {
					return
				}
			}
		})
	}
}

// commitRestarting commits, and has the service restarted at the nth APDU. It tells whether
// there was one.
func (r *rig) commitRestarting(reader card.Reader, n int, generation uint64) bool {
	r.t.Helper()
	seen := 0
	sent, goOn := stall(r.card, func([]byte) bool { seen++; return seen == n })
	ended := make(chan error, 1)
	go func() { ended <- withCard(r.t, reader, commit(generation, "data")) }()
	select {
	case err := <-ended: // before there were so many
		goOn()
		if err != nil {
			r.t.Fatal(err)
		}
		return false
	case <-sent:
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		service.daemon.Stop()
	}()
	goOn()
	<-stopped
	if err := <-ended; err != nil && !errors.Is(err, card.ErrNoService) && !errors.Is(err, card.ErrRemoved) && !errors.Is(err, card.ErrNoCard) &&
		!errors.Is(err, card.ErrNoReader) {
		r.t.Errorf("at APDU %d: %v", n, err)
	}
	<-r.plug.Done()
	r.card.SetHook(nil)
	if err := service.daemon.Restart(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.insert()
	return true
}

// generation is that of the card's newest whole version: one of two.
func (r *rig) generation(reader card.Reader, before, after uint64) uint64 {
	r.t.Helper()
	var got uint64
	if err := withCard(r.t, reader, func(ctx context.Context, m card.Medium) error {
		object, err := card.NewStore(m).Load(ctx)
		got = object.Generation
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	if got != before && got != after {
		r.t.Fatalf("the card holds %d, neither %d nor %d", got, before, after)
	}
	return got
}
