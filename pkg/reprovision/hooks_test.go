package reprovision_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// watched is a restorer that writes down what happens with the hooks, and what
// is owed when it ends.
func (p *phone) watched() (r *reprovision.Restorer, events *[]string, owed map[userdata.Class]bool) {
	r, events, owed = p.restorer(), new([]string), make(map[userdata.Class]bool)
	r.Owe = func(c userdata.Class, o bool) error {
		if _, err := os.Lstat(p.path(string(c) + "/a")); o && err == nil {
			p.t.Errorf("%s: owed only after something was written", c)
		}
		*events = append(*events, fmt.Sprintf("%s owed=%v", c, o))
		owed[c] = o
		return nil
	}
	r.Hook = func(_ context.Context, c userdata.Class) error {
		*events = append(*events, string(c)+" hook")
		return nil
	}
	return r, events, owed
}

func TestHooksAreOwedFromTheFirstWriteUntilTheyRan(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("service-books/a")))
	p.must(os.Remove(p.path("keys/a")))
	r, events, _ := p.watched()
	_, err := r.Restore(context.Background(), p.plan(reprovision.Selection{}))
	p.must(err)
	want := "service-books owed=true, service-books hook, service-books owed=false, keys owed=true, keys hook, keys owed=false"
	if got := strings.Join(*events, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInterruptedHooksStayOwed(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("service-books/a")))
	p.cutAt = 0
	r, events, owed := p.watched()
	_, err := r.Restore(context.Background(), p.plan(reprovision.Selection{}))
	if !errors.Is(err, reprovision.ErrInterrupted) || !owed[userdata.ServiceBooks] {
		t.Errorf("%v after %v", err, *events)
	}
}

func TestHookCutShortByTheEndStaysOwed(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("service-books/a")))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	r, events, owed := p.watched()
	r.Hook = func(ctx context.Context, _ userdata.Class) error { stop(); return ctx.Err() }
	_, err := r.Restore(ctx, p.plan(reprovision.Selection{}))
	if !errors.Is(err, context.Canceled) || !owed[userdata.ServiceBooks] {
		t.Errorf("%v after %v", err, *events)
	}
}

func TestDueHookRunsWithNothingToWrite(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	r, events, owed := p.watched()
	r.Due = []userdata.Class{userdata.UserData, userdata.ServiceBooks}
	result, err := r.Restore(context.Background(), reprovision.Plan{})
	p.must(err)
	want := "service-books hook, service-books owed=false, user-data hook, user-data owed=false"
	if got := strings.Join(*events, ", "); got != want || result.Planned != 0 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if owed[userdata.ServiceBooks] || owed[userdata.UserData] {
		t.Errorf("still owed: %v", owed)
	}
}

func TestHookIsNotOwedForWhatWasNotWritten(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("keys/a")))
	r, events, owed := p.watched()
	r.Fetch = p.damage(p.dataSet.Packs("keys/a")...)
	_, err := r.Restore(context.Background(), p.plan(reprovision.Selection{}))
	p.must(err)
	if slices.Contains(*events, "keys hook") || owed[userdata.Keys] {
		t.Errorf("events %v", *events)
	}
}

func TestDebtThatCannotBeNotedStopsNothing(t *testing.T) {
	p := newPhone(t)
	p.backUp()
	p.must(os.Remove(p.path("keys/a")))
	r := p.restorer()
	r.Owe = func(userdata.Class, bool) error { return errors.New("the disk is full") }
	result, err := r.Restore(context.Background(), p.plan(reprovision.Selection{}))
	p.must(err)
	if result.Verified != 1 || len(result.Hooks) != 2 || len(p.hooks) != 1 {
		t.Errorf("result %+v, hooks %v", result, p.hooks)
	}
}
