package cardtest

import (
	"bytes"
	"context"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// overwriteStep is how much TestRenew has overwritten in one transaction: less than all.
const overwriteStep = 3000

// TestRenew renews a card that holds void bytes in its newest version, in the one before,
// and left over from earlier ones. It pulls the card at every APDU: there is always a whole
// version, the old one or the new one. When the card is back, at a reader that remembers
// nothing, it is gone on with what the card says is left, and then nothing void is on it.
func TestRenew(t *testing.T, kind Kind) {
	for name, action := range map[string]virtual.Action{
		"before": virtual.PullFirst, "after": virtual.PullAfter, "torn": virtual.Tear, "wiped": virtual.Wipe,
	} {
		t.Run(name, func(t *testing.T) {
			cuts := 0
			for kind.cutRenewal(t, cuts+1, action) {
				if cuts++; cuts > 2000 {
					t.Fatal("no end of APDUs")
				}
			}
			t.Logf("0 versions lost and nothing void left in %d cuts", cuts)
		})
	}
	t.Run("between", func(t *testing.T) { kind.commitBetween(t) })
}

// void is what a renewal is to leave nothing of: pieces of the versions before.
func void() [][]byte { return [][]byte{noise(50, 400), noise(51, 400), noise(52, 400)} }

// usedCard has three versions, of which each holds one void piece at its end.
func (k Kind) usedCard(t *testing.T) (c *virtual.Card, newest []byte) {
	t.Helper()
	c = k.Fresh(t)
	m := k.open(t, c)
	mustFormat(t, m, slotSize)
	for i, piece := range void() {
		newest = append(noise(1, 2200), piece...)
		mustCommit(t, m, uint64(i+1), newest)
	}
	if !k.anyOnCard(t, c, void()[1:]) {
		t.Fatal("the card does not hold what is to be overwritten")
	}
	return c, newest
}

// anyOnCard tells whether any run of 16 bytes of the pieces is on the card.
func (k Kind) anyOnCard(t *testing.T, c *virtual.Card, pieces [][]byte) bool {
	t.Helper()
	memory := k.Memory(c)
	for _, piece := range pieces {
		for off := 0; off+16 <= len(piece); off++ {
			if bytes.Contains(memory, piece[off:off+16]) {
				return true
			}
		}
	}
	return false
}

func (k Kind) renew(ctx context.Context, c *virtual.Card, generation uint64, data []byte) error {
	m, err := k.Profile(ctx, c)
	if err != nil {
		return err
	}
	return card.NewStore(m).Renew(ctx, generation, data)
}

// overwrite goes on until it is finished, in one transaction for each step.
func (k Kind) overwrite(ctx context.Context, c *virtual.Card) error {
	var o card.Overwriting
	for !o.Finished {
		m, err := k.Profile(ctx, c)
		if err != nil {
			return err
		}
		if o, err = card.NewStore(m).Overwrite(ctx, o, overwriteStep); err != nil {
			return err
		}
	}
	return nil
}

func (k Kind) cutRenewal(t *testing.T, n int, action virtual.Action) (cut bool) {
	c, old := k.usedCard(t)
	next := append(noise(1, 2200), noise(60, 300)...)
	c.Reset()
	c.SetHook(virtual.FaultAt(n, action))
	err := k.renew(t.Context(), c, 4, next)
	if err == nil {
		err = k.overwrite(t.Context(), c)
	}
	object, loaded := card.NewStore(k.open(t, c)).Load(t.Context())
	if loaded != nil {
		t.Fatalf("APDU %d: %v", n, loaded)
	}
	switch object.Generation {
	case 3:
		if err == nil || object.Traces || !bytes.Equal(object.Data, old) {
			t.Fatalf("APDU %d: the old version is not as it was, or the renewal is gone: %v", n, err)
		}
		if err := k.renew(t.Context(), c, 4, next); err != nil {
			t.Fatal(err)
		}
		object = mustLoad(t, k.open(t, c), 4, next)
	case 4:
		mustLoad(t, k.open(t, c), 4, next)
	default:
		t.Fatalf("APDU %d: generation %d", n, object.Generation)
	}
	if object.Traces {
		if again := k.overwrite(t.Context(), c); again != nil {
			t.Fatal(again)
		}
	}
	k.renewed(t, c, n, next)
	if err != nil {
		want(t, err, card.ErrRemoved)
	}
	return err != nil
}

// renewed checks that both slots have the new version and nothing else is there, and that
// the next commits work.
func (k Kind) renewed(t *testing.T, c *virtual.Card, n int, data []byte) {
	t.Helper()
	if mustLoad(t, k.open(t, c), 4, data).Traces {
		t.Fatalf("APDU %d: the card is said to hold traces still", n)
	}
	if k.anyOnCard(t, c, void()) {
		t.Fatalf("APDU %d: what is void is on the card", n)
	}
	report, err := card.NewStore(k.open(t, c)).Verify(t.Context())
	if err != nil || report.Slots[0].State != card.SlotWhole || report.Slots[1].State != card.SlotWhole {
		t.Fatalf("APDU %d: %+v, %v", n, report, err)
	}
	for g := uint64(5); g < 8; g++ {
		data = append(bytes.Clone(data), byte(g))
		mustCommit(t, k.open(t, c), g, data)
		if mustLoad(t, k.open(t, c), g, data).Traces {
			t.Fatal("a commit brought traces back")
		}
	}
	k.Foreign(t, c)
}

// commitBetween commits while the overwriting is under way: that begins anew, what is void
// is remembered, and the commit is spared.
func (k Kind) commitBetween(t *testing.T) {
	c, _ := k.usedCard(t)
	c.Reset()
	data := append(noise(1, 2200), noise(60, 300)...)
	if err := k.renew(t.Context(), c, 4, data); err != nil {
		t.Fatal(err)
	}
	o, err := card.NewStore(k.open(t, c)).Overwrite(t.Context(), card.Overwriting{}, 100)
	if err != nil || o.Finished || o.Done == 0 || o.Done >= o.Total {
		t.Fatalf("%+v, %v", o, err)
	}
	next := append(bytes.Clone(data), noise(61, 100)...)
	mustCommit(t, k.open(t, c), 5, next)
	if !mustLoad(t, k.open(t, c), 5, next).Traces {
		t.Fatal("a commit forgot what is left")
	}
	for !o.Finished {
		if o, err = card.NewStore(k.open(t, c)).Overwrite(t.Context(), o, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if mustLoad(t, k.open(t, c), 5, next).Traces || k.anyOnCard(t, c, void()) {
		t.Error("what is void is on the card")
	}
}
