package cardtest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// Kind is a kind of virtual card, and the profile for it.
type Kind struct {
	Fresh   func(t *testing.T) *virtual.Card // an unformatted card that takes two slots of 4096 bytes
	Profile card.Profile
	Foreign func(t *testing.T, c *virtual.Card) // fails if objects that are not ours are not as they were

	// Wear changes a byte of a piece of a version that is on the card.
	Wear func(t *testing.T, c *virtual.Card, piece []byte)

	// Memory is all that our objects on the card hold.
	Memory func(c *virtual.Card) []byte

	// Slowest is what any load may take after small changes, as a multiple of the bare
	// transfer's time. The median has a bar of its own.
	Slowest float64

	// Bare reads n bytes or a few more of what our objects hold with nothing but
	// the commands for that, and gives what went over the contacts. For TestEffort.
	Bare func(t *testing.T, c *virtual.Card, n int) virtual.Counts
}

// open opens the card as the next transaction would, with its faults repaired.
func (k Kind) open(t *testing.T, c *virtual.Card) card.Medium {
	t.Helper()
	c.SetHook(nil)
	c.Reset()
	m, err := k.Profile(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCuts pulls the card at every APDU of whatever writes to it. The last whole
// version must be there each time, and what is not ours as it was.
func TestCuts(t *testing.T, kind Kind) {
	for name, action := range map[string]virtual.Action{
		"before": virtual.PullFirst, "after": virtual.PullAfter, "torn": virtual.Tear, "wiped": virtual.Wipe,
	} {
		t.Run("new/"+name, func(t *testing.T) {
			kind.cutCommits(t, action, func(n int, _ []byte) []byte { return noise(uint64(n), 3000) })
		})
		t.Run("edit/"+name, func(t *testing.T) {
			kind.cutCommits(t, action, func(n int, before []byte) []byte {
				next := bytes.Clone(before)
				copy(next[n*37%2000:], noise(uint64(n), 1000))
				return next
			})
		})
		t.Run("format/"+name, func(t *testing.T) { kind.cutFormats(t, action) })
	}
}

// commitAgain is a transaction in which the next version is committed.
func (k Kind) commitAgain(ctx context.Context, c *virtual.Card, data []byte) error {
	m, err := k.Profile(ctx, c)
	if err != nil {
		return err
	}
	store := card.NewStore(m)
	object, err := store.Load(ctx)
	if err != nil {
		return err
	}
	return store.Commit(ctx, object.Generation+1, data)
}

// cutCommits cuts a commit at every APDU, each on what the one before left.
func (k Kind) cutCommits(t *testing.T, action virtual.Action, change func(n int, before []byte) []byte) {
	c := k.Fresh(t)
	m := k.open(t, c)
	data, generation := noise(0, 3000), uint64(1)
	mustFormat(t, m, slotSize)
	mustCommit(t, m, generation, data)
	for n := 1; ; n++ {
		next := change(n, data)
		c.Reset()
		c.SetHook(virtual.FaultAt(n, action))
		err := k.commitAgain(t.Context(), c, next)
		object, loaded := card.NewStore(k.open(t, c)).Load(t.Context())
		if loaded != nil {
			t.Fatalf("APDU %d: %v", n, loaded)
		}
		if object.Generation == generation+1 { // nothing was missing but the answer
			data, generation = next, generation+1
		} else if err == nil {
			t.Fatalf("APDU %d: commit succeeded and is gone", n)
		}
		if object.Generation != generation || !bytes.Equal(object.Data, data) {
			t.Fatalf("APDU %d: generation %d loaded, %d expected", n, object.Generation, generation)
		}
		if err == nil {
			t.Logf("0 versions lost in %d cuts", n-1)
			break
		}
		want(t, err, card.ErrRemoved)
	}
	k.Foreign(t, c)
}

// cutFormats cuts a format at every APDU. The card is unformatted or blank then,
// and can be formatted.
func (k Kind) cutFormats(t *testing.T, action virtual.Action) {
	c := k.Fresh(t)
	for n := 1; ; n++ {
		m := k.open(t, c)
		c.SetHook(virtual.FaultAt(n, action))
		err := m.Format(t.Context(), slotSize)
		m = k.open(t, c)
		object, loaded := card.NewStore(m).Load(t.Context())
		early := loaded == nil && object.Generation == 1 // the format had not begun to write
		if !early && !errors.Is(loaded, card.ErrUnformatted) && !errors.Is(loaded, card.ErrBlank) {
			t.Fatalf("APDU %d: generation %d, %v", n, object.Generation, loaded)
		}
		mustFormat(t, m, slotSize)
		if n%2 == 0 { // the next format finds a version
			mustCommit(t, m, 1, noise(1, 1000))
		}
		k.Foreign(t, c)
		if err == nil {
			return
		}
		want(t, err, card.ErrRemoved)
	}
}
