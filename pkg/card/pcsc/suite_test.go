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

// TestReader runs the conformance suite through a real pcscd.
func TestReader(t *testing.T) {
	cardtest.TestReader(t, func(t *testing.T, notify func(card.Event)) cardtest.Fixture {
		t.Parallel()
		r := newRig(t, virtual.Options{Capacity: 16 << 10})
		return cardtest.Fixture{Reader: pcsc.New(r.config(notify)), Pull: r.pull, Insert: r.insert}
	})
}

// TestMedium runs the conformance suite of media through a real pcscd, on one
// card that is emptied before each test.
func TestMedium(t *testing.T) {
	for name, quirks := range map[string]virtual.Quirks{"T=1": {}, "T=0": {T0: true, ShortOnly: true, GetResponse: 256}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, virtual.Options{Capacity: 16 << 10, Quirks: quirks})
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
