//go:build cgo

package pcsc_test

import (
	"context"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// cards are the kinds that the suites run on through a real pcscd.
func cards() map[string]virtual.Options {
	t0 := virtual.Quirks{T0: true, ShortOnly: true, GetResponse: 256}
	return map[string]virtual.Options{
		"T=1":      {Capacity: 16 << 10},
		"T=0":      {Capacity: 16 << 10, Quirks: t0},
		"PIV, T=1": {Capacity: 16 << 10, PIV: &virtual.PIV{}},
		"PIV, T=0": {Capacity: 16 << 10, PIV: &virtual.PIV{}, Quirks: t0},
	}
}

// TestReader runs the conformance suite of readers on a card with a file system
// and on a PIV card.
func TestReader(t *testing.T) {
	for _, name := range []string{"T=1", "PIV, T=1"} {
		t.Run(name, func(t *testing.T) {
			cardtest.TestReader(t, func(t *testing.T, notify func(card.Event)) cardtest.Fixture {
				t.Parallel()
				r := newRig(t, cards()[name])
				return cardtest.Fixture{Reader: pcsc.New(r.config(notify)), Pull: r.pull, Insert: r.insert}
			})
		})
	}
}

// TestMedium runs the conformance suite of media, on one card of each kind that
// is emptied before each test.
func TestMedium(t *testing.T) {
	for name, options := range cards() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options)
			cardtest.TestMedium(t, func(t *testing.T) card.Medium {
				if err := r.card.Replace(nil); err != nil {
					t.Fatal(err)
				}
				return borrow(t, pcsc.New(r.config(nil)))
			})
		})
	}
}

// borrow keeps a transaction open for the length of the test.
func borrow(t *testing.T, r card.Reader) card.Medium {
	t.Helper()
	lent, back, ended := make(chan card.Medium), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- r.WithCard(context.Background(), func(_ context.Context, m card.Medium) error {
			lent <- m
			<-back
			return nil
		})
	}()
	select {
	case m := <-lent:
		t.Cleanup(func() {
			close(back)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return m
	case err := <-ended:
		t.Fatal(err)
		return nil
	}
}
