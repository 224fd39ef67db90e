package cardtest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// TestRepair makes cards of which no version is whole: by a byte that both versions
// share, and by a first commit that was cut. It repairs them, and cuts the repair at
// every APDU: the card is damaged still, and can be repaired, or blank, or whole.
func TestRepair(t *testing.T, kind Kind) {
	for name, damage := range map[string]func(*testing.T) (c *virtual.Card, highest uint64){
		"shared": kind.wornCard, "first": kind.cutCard,
	} {
		t.Run(name, func(t *testing.T) {
			c, highest := damage(t)
			data := noise(7, 3000)
			kind.repaired(t, c, highest, data)
			kind.repairedTwice(t, c, data)
			kind.Foreign(t, c)
		})
		for action, what := range map[string]virtual.Action{
			"before": virtual.PullFirst, "after": virtual.PullAfter, "torn": virtual.Tear, "wiped": virtual.Wipe,
		} {
			t.Run(name+"/"+action, func(t *testing.T) { kind.cutRepairs(t, damage, what) })
		}
	}
}

// wornCard has two versions in which a byte is damaged that both share.
func (k Kind) wornCard(t *testing.T) (c *virtual.Card, highest uint64) {
	t.Helper()
	c = k.Fresh(t)
	m := k.open(t, c)
	data := noise(1, 3000)
	mustFormat(t, m, slotSize)
	mustCommit(t, m, 6, data)
	mustCommit(t, m, 7, append(bytes.Clone(data), noise(2, 100)...))
	k.Wear(t, c, data[40:80])
	return c, 7
}

// cutCard has a first commit that was cut off while its header was written.
func (k Kind) cutCard(t *testing.T) (c *virtual.Card, highest uint64) {
	t.Helper()
	for n := 1; n < 200; n++ {
		c := k.Fresh(t)
		m := k.open(t, c)
		mustFormat(t, m, slotSize)
		c.SetHook(virtual.FaultAt(n, virtual.Tear))
		err := card.NewStore(m).Commit(t.Context(), 1, noise(1, 3000))
		if _, loaded := card.NewStore(k.open(t, c)).Load(t.Context()); err != nil && errors.Is(loaded, card.ErrDamaged) {
			return c, 0
		}
	}
	t.Fatal("no cut leaves a damaged card")
	return nil, 0
}

// repair is a transaction in which a card is repaired.
func (k Kind) repair(ctx context.Context, c *virtual.Card, floor uint64, data []byte) (uint64, error) {
	m, err := k.Profile(ctx, c)
	if err != nil {
		return 0, err
	}
	return card.NewStore(m).Repair(ctx, floor, data)
}

// repaired repairs a card, and commits to it what comes next.
func (k Kind) repaired(t *testing.T, c *virtual.Card, highest uint64, data []byte) {
	t.Helper()
	_, err := card.NewStore(k.open(t, c)).Load(t.Context())
	want(t, err, card.ErrDamaged)
	generation, err := k.repair(t.Context(), c, 3, data)
	if err != nil || generation <= max(highest, 3) {
		t.Fatalf("generation %d: %v", generation, err)
	}
	mustLoad(t, k.open(t, c), generation, data)
	next := append(bytes.Clone(data), 1)
	mustCommit(t, k.open(t, c), generation+1, next)
	mustCommit(t, k.open(t, c), generation+2, data)
	mustLoad(t, k.open(t, c), generation+2, data)
}

// repairedTwice leaves a whole card alone.
func (k Kind) repairedTwice(t *testing.T, c *virtual.Card, data []byte) {
	t.Helper()
	c.Reset()
	_, err := k.repair(t.Context(), c, 100, noise(9, 10))
	want(t, err, card.ErrWhole)
	object, err := card.NewStore(k.open(t, c)).Load(t.Context())
	if err != nil || !bytes.Equal(object.Data, data) {
		t.Fatalf("a whole card was written: generation %d, %v", object.Generation, err)
	}
	_, err = card.NewStore(k.open(t, c)).Repair(t.Context(), 0, make([]byte, 1<<20))
	var full *card.FullError
	if !errors.As(err, &full) {
		t.Fatalf("too many bytes: %v", err)
	}
}

func (k Kind) cutRepairs(t *testing.T, damage func(*testing.T) (*virtual.Card, uint64), action virtual.Action) {
	data := noise(7, 3000)
	for n := 1; ; n++ {
		c, highest := damage(t)
		c.Reset()
		c.SetHook(virtual.FaultAt(n, action))
		_, err := k.repair(t.Context(), c, 3, data)
		object, loaded := card.NewStore(k.open(t, c)).Load(t.Context())
		switch {
		case loaded == nil && !bytes.Equal(object.Data, data):
			t.Fatalf("APDU %d: the card holds something else, of generation %d", n, object.Generation)
		case errors.Is(loaded, card.ErrBlank): // the damaged header was erased first: there is nothing to repair
			mustCommit(t, k.open(t, c), 1, data)
		case loaded != nil:
			k.repaired(t, c, highest, data)
		}
		k.Foreign(t, c)
		if err == nil {
			t.Logf("%d cuts", n-1)
			return
		}
		want(t, err, card.ErrRemoved)
	}
}
