package cardtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
)

// patience is how long an event may take before a test fails.
const patience = 30 * time.Second

// Fixture is a reader with an unformatted card in it.
type Fixture struct {
	Reader card.Reader
	Pull   func() // takes the card out
	Insert func() // puts the same card in again
}

// TestReader is the conformance suite of card.Reader. fresh is called once for
// each test; notify is for the reader's events.
func TestReader(t *testing.T, fresh func(t *testing.T, notify func(card.Event)) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture, <-chan card.Event){
		"Store":      testReaderStore,
		"Presence":   testPresence,
		"NoCard":     testNoCard,
		"Formatted":  testFormattedEvent,
		"PullInside": testPullInside,
		"OneByOne":   testOneByOne,
		"Busy":       testBusy,
	} {
		t.Run(name, func(t *testing.T) {
			events := make(chan card.Event, 100)
			test(t, fresh(t, func(e card.Event) { events <- e }), events)
		})
	}
}

// use runs a transaction that has to succeed.
func use(t *testing.T, r card.Reader, fn func(ctx context.Context, m card.Medium) error) {
	t.Helper()
	if err := try(t, r, fn); err != nil {
		t.Fatal(err)
	}
}

func try(t *testing.T, r card.Reader, fn func(ctx context.Context, m card.Medium) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return r.WithCard(ctx, fn)
}

func format(t *testing.T, r card.Reader) {
	t.Helper()
	use(t, r, func(ctx context.Context, m card.Medium) error { return m.Format(ctx, slotSize) })
}

func commit(generation uint64, data []byte) func(context.Context, card.Medium) error {
	return func(ctx context.Context, m card.Medium) error { return card.NewStore(m).Commit(ctx, generation, data) }
}

// await skips events until one of the kind, with a readable card if it is about
// a card.
func await(t *testing.T, events <-chan card.Event, kind card.EventKind) card.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.Kind == kind && (kind != card.EventInserted || e.Err == nil) {
				return e
			}
		case <-timeout:
			t.Fatalf("no event %q", kind)
		}
	}
}

// run starts Run and, at the end of the test, checks that it ends with its context.
func run(t *testing.T, r card.Reader) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run returned %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end with its context")
		}
	})
}

// testReaderStore commits and loads in transactions of their own.
func testReaderStore(t *testing.T, f Fixture, _ <-chan card.Event) {
	format(t, f.Reader)
	for generation := uint64(1); generation <= 3; generation++ {
		use(t, f.Reader, commit(generation, noise(generation, 1500)))
		use(t, f.Reader, func(_ context.Context, m card.Medium) error {
			mustLoad(t, m, generation, noise(generation, 1500))
			return nil
		})
	}
	f.Pull()
	f.Insert()
	use(t, f.Reader, func(_ context.Context, m card.Medium) error {
		mustLoad(t, m, 3, noise(3, 1500))
		return nil
	})
}

func testPresence(t *testing.T, f Fixture, events <-chan card.Event) {
	format(t, f.Reader)
	run(t, f.Reader)
	first := await(t, events, card.EventInserted)
	if first.Identity == "" || first.Reader == "" {
		t.Errorf("first event says too little: %+v", first)
	}
	f.Pull()
	await(t, events, card.EventRemoved)
	f.Insert()
	if again := await(t, events, card.EventInserted); again.Identity != first.Identity {
		t.Errorf("same card has identity %q, then %q", first.Identity, again.Identity)
	}
}

func testNoCard(t *testing.T, f Fixture, events <-chan card.Event) {
	format(t, f.Reader)
	f.Pull()
	run(t, f.Reader)
	await(t, events, card.EventRemoved)
	want(t, try(t, f.Reader, commit(1, nil)), card.ErrNoCard)
	f.Insert()
	await(t, events, card.EventInserted)
	use(t, f.Reader, commit(1, nil))
}

// testFormattedEvent checks that a new identity is told.
func testFormattedEvent(t *testing.T, f Fixture, events <-chan card.Event) {
	run(t, f.Reader)
	before := await(t, events, card.EventInserted)
	format(t, f.Reader)
	for await(t, events, card.EventInserted).Identity == before.Identity {
		continue
	}
}

// testPullInside pulls the card between two writes of one transaction.
func testPullInside(t *testing.T, f Fixture, _ <-chan card.Event) {
	format(t, f.Reader)
	use(t, f.Reader, commit(1, noise(1, 600)))
	err := try(t, f.Reader, func(ctx context.Context, m card.Medium) error {
		f.Pull()
		return card.NewStore(m).Commit(ctx, 2, noise(2, 600))
	})
	if !errors.Is(err, card.ErrRemoved) && !errors.Is(err, card.ErrNoCard) {
		t.Fatalf("got %v", err)
	}
	f.Insert()
	use(t, f.Reader, func(_ context.Context, m card.Medium) error {
		mustLoad(t, m, 1, noise(1, 600))
		return nil
	})
}

// testOneByOne checks that transactions do not mix: each adds one to a number.
func testOneByOne(t *testing.T, f Fixture, _ <-chan card.Event) {
	format(t, f.Reader)
	use(t, f.Reader, commit(1, nil))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			err := try(t, f.Reader, func(ctx context.Context, m card.Medium) error {
				object, err := card.NewStore(m).Load(ctx)
				if err != nil {
					return err
				}
				return card.NewStore(m).Commit(ctx, object.Generation+1, nil)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	use(t, f.Reader, func(_ context.Context, m card.Medium) error {
		mustLoad(t, m, 9, nil)
		return nil
	})
}

// testBusy checks that the wait for a transaction ends with its context.
func testBusy(t *testing.T, f Fixture, _ <-chan card.Event) {
	format(t, f.Reader)
	use(t, f.Reader, func(context.Context, card.Medium) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := f.Reader.WithCard(ctx, func(context.Context, card.Medium) error { return nil })
		want(t, err, card.ErrBusy)
		return nil
	})
	use(t, f.Reader, commit(1, nil))
}
