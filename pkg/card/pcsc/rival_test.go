//go:build cgo

package pcsc_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ebfe/scard"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// other connects to the card as another program would.
func other(t *testing.T, reader string, mode scard.ShareMode) *scard.Card {
	t.Helper()
	client, err := scard.EstablishContext()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Release() })
	c, err := client.Connect(reader, mode, scard.ProtocolAny)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestExclusive checks that a card which another program has to itself is waited
// for, and used once it is free.
func TestExclusive(t *testing.T) {
	t.Parallel()
	r := newRig(t, virtual.Options{})
	reader := pcsc.New(r.config(nil))
	holder := other(t, r.name(), scard.ShareExclusive)
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	want(t, reader.WithCard(short, format), card.ErrBusy)
	released := make(chan error, 1)
	go func() {
		time.Sleep(100 * time.Millisecond)
		released <- holder.Disconnect(scard.LeaveCard)
	}()
	if err := errors.Join(withCard(t, reader, format), <-released); err != nil {
		t.Fatal(err)
	}
}

// TestForeignTransaction checks the wait for another program's transaction.
func TestForeignTransaction(t *testing.T) {
	t.Parallel()
	r := newRig(t, virtual.Options{})
	reader := pcsc.New(r.config(nil))
	holder := other(t, r.name(), scard.ShareShared)
	if err := holder.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	want(t, reader.WithCard(short, format), card.ErrBusy)
	if err := holder.EndTransaction(scard.LeaveCard); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(withCard(t, reader, format), holder.Disconnect(scard.LeaveCard)); err != nil {
		t.Fatal(err)
	}
}

// TestForeignReset checks that resets by another program between and during our
// attempts do no harm.
func TestForeignReset(t *testing.T) {
	t.Parallel()
	r := newRig(t, virtual.Options{})
	reader := pcsc.New(r.config(nil))
	if err := withCard(t, reader, format); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	defer group.Wait()
	defer close(stop)
	rival := other(t, r.name(), scard.ShareShared)
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = rival.Reconnect(scard.ShareShared, scard.ProtocolAny, scard.ResetCard) // refused while we hold the card
				time.Sleep(time.Millisecond)
			}
		}
	})
	for generation := uint64(1); generation <= 10; generation++ {
		if err := withCard(t, reader, commit(generation, "data")); err != nil {
			t.Fatal(err)
		}
	}
}
