package vault_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reprovision/reprovision/pkg/vault"
)

// history makes snapshots in the order of their generations, by a clock that
// mostly goes forward.
func history(t *rapid.T) []vault.Aged {
	at := time.Date(2026, 1, 30, 12, 0, 0, 0, time.UTC)
	var all []vault.Aged
	seq := uint64(0)
	for range rapid.IntRange(0, 60).Draw(t, "snapshots") {
		seq += uint64(rapid.IntRange(1, 3).Draw(t, "gap"))
		at = at.Add(time.Duration(rapid.IntRange(-30, 300).Draw(t, "hours")) * time.Hour)
		all = append(all, vault.Aged{
			Seq: seq, Committed: at,
			Good: rapid.IntRange(0, 3).Draw(t, "good") > 0, Whole: rapid.Bool().Draw(t, "whole"), Held: rapid.IntRange(0, 9).Draw(t, "held") == 0,
		})
	}
	return all
}

func rules(t *rapid.T) vault.Retention {
	n := rapid.IntRange(-1, 8)
	return vault.Retention{Last: n.Draw(t, "last"), Daily: n.Draw(t, "daily"), Weekly: n.Draw(t, "weekly"), Monthly: n.Draw(t, "monthly")}
}

// left is what remains of a history.
func left(all []vault.Aged, surplus []uint64) []vault.Aged {
	return slices.DeleteFunc(slices.Clone(all), func(a vault.Aged) bool { return slices.Contains(surplus, a.Seq) })
}

func lastWhere(all []vault.Aged, is func(vault.Aged) bool) (vault.Aged, bool) {
	for _, a := range slices.Backward(all) {
		if is(a) {
			return a, true
		}
	}
	return vault.Aged{}, false
}

func TestRetentionNeverRemovesWhatMustStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, r := history(t), rules(t)
		kept := left(all, r.Surplus(all, time.UTC))
		for _, must := range []func(vault.Aged) bool{
			func(vault.Aged) bool { return true }, func(a vault.Aged) bool { return a.Good },
			func(a vault.Aged) bool { return a.Good && a.Whole },
		} {
			if want, any := lastWhere(all, must); any && !slices.Contains(kept, want) {
				t.Fatalf("%+v is gone", want)
			}
		}
		for _, a := range all {
			if a.Held && !slices.Contains(kept, a) {
				t.Fatalf("%+v is in use, and gone", a)
			}
		}
		for _, a := range all[max(0, len(all)-max(r.Last, 0)):] {
			if !slices.Contains(kept, a) {
				t.Fatalf("%+v is one of the last %d, and gone", a, r.Last)
			}
		}
	})
}

// TestRetentionKeepsEveryPeriod counts days, weeks and months a second way.
func TestRetentionKeepsEveryPeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, r := history(t), rules(t)
		kept := left(all, r.Surplus(all, time.UTC))
		for _, rule := range []struct {
			count int
			form  string
		}{{r.Daily, "2006-01-02"}, {r.Monthly, "2006-01"}} {
			var periods []string
			for _, a := range slices.Backward(all) {
				p := a.Committed.Format(rule.form)
				if slices.Contains(periods, p) || len(periods) >= rule.count {
					continue
				}
				periods = append(periods, p)
				if !slices.Contains(kept, a) {
					t.Fatalf("%+v is the newest of %s, and gone", a, p)
				}
			}
		}
	})
}

func TestRetentionIsBoundedAndRepeatable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, r := history(t), rules(t)
		surplus := r.Surplus(all, time.UTC)
		if !slices.IsSorted(surplus) {
			t.Fatal("out of order")
		}
		kept := left(all, surplus)
		if again := r.Surplus(kept, time.UTC); len(again) > 0 {
			t.Fatalf("a second time removes %v", again)
		}
		held := 0
		for _, a := range all {
			if a.Held {
				held++
			}
		}
		most := 3*(max(r.Last, 0)+max(r.Daily, 0)+max(r.Weekly, 0)+max(r.Monthly, 0)+1) + held
		if len(kept) > most {
			t.Fatalf("%d are kept, at most %d should be", len(kept), most)
		}
		more := r
		more.Last, more.Weekly = r.Last+1, r.Weekly+1
		for _, seq := range more.Surplus(all, time.UTC) {
			if !slices.Contains(surplus, seq) {
				t.Fatalf("keeping more removes %d", seq)
			}
		}
	})
}

// TestRetentionThroughTheYears applies the rules after each of three snapshots a
// day, as a reader does: what is left covers the time as the rules say.
func TestRetentionThroughTheYears(t *testing.T) {
	r := vault.Retention{Last: 4, Daily: 7, Weekly: 5, Monthly: 12}
	at := time.Date(2024, 1, 1, 6, 0, 0, 0, time.UTC)
	var all []vault.Aged
	for seq := range uint64(3 * 800) {
		all = append(all, vault.Aged{Seq: seq + 1, Committed: at, Good: true})
		at = at.Add(8 * time.Hour)
		all = left(all, r.Surplus(all, time.UTC))
	}
	if len(all) < 20 || len(all) > 28 {
		t.Errorf("%d snapshots are left", len(all))
	}
	if span := at.Sub(all[0].Committed); span < 300*24*time.Hour || span > 370*24*time.Hour {
		t.Errorf("the oldest is %v old", span)
	}
}
