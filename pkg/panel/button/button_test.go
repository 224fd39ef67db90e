package button

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/reprovision/reprovision/pkg/panel/keep"
)

// contact is what a test does with the button.
type contact struct {
	after time.Duration
	down  bool
}

const ms = time.Millisecond

func TestGesture(t *testing.T) {
	for _, c := range []struct {
		name string
		does []contact
		want []Press
	}{
		{"short", []contact{{0, true}, {100 * ms, false}}, []Press{Short}},
		{"long", []contact{{0, true}, {3 * time.Second, false}}, []Press{Long}},
		{"still held", []contact{{0, true}}, []Press{Long}},
		{"just not long", []contact{{0, true}, {1999 * ms, false}}, []Press{Short}},
		{"twice", []contact{{0, true}, {100 * ms, false}, {100 * ms, true}, {100 * ms, false}}, []Press{Short, Short}},
		{"bounces", []contact{{0, true}, {ms, false}, {ms, true}, {2 * ms, false}, {ms, true}, {100 * ms, false}, {ms, true}, {ms, false}}, []Press{Short}},
		{"a spike", []contact{{0, true}, {3 * ms, false}}, nil},
		{"a drop while held", []contact{{0, true}, {time.Second, false}, {3 * ms, true}}, []Press{Long}},
		{"bounces at the end of a long one", []contact{{0, true}, {2500 * ms, false}, {2 * ms, true}, {2 * ms, false}}, []Press{Long}},
		{"opens first", []contact{{0, false}}, nil},
		{"told twice", []contact{{0, true}, {50 * ms, true}, {50 * ms, false}, {50 * ms, false}}, []Press{Short}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := play(c.does); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// play does things with a contact, in time of their own, and waits for what comes of it.
func play(does []contact) []Press {
	g := gesture{long: 2 * time.Second, bounce: 10 * ms}
	now := time.Unix(1_700_000_000, 0)
	var out []Press
	note := func(p Press) {
		if p != None {
			out = append(out, p)
		}
	}
	until := func(end time.Time) {
		for wait := g.wait(now); wait >= 0 && !now.Add(wait).After(end); wait = g.wait(now) {
			now = now.Add(wait)
			note(g.tick(now))
		}
		now = end
	}
	for _, d := range does {
		until(now.Add(d.after))
		note(g.edge(d.down, now))
	}
	until(now.Add(time.Minute))
	return out
}

// TestGestureLate finds the same presses when nobody looked in time.
func TestGestureLate(t *testing.T) {
	g := gesture{long: 2 * time.Second, bounce: 10 * ms}
	now := time.Unix(1_700_000_000, 0)
	if p := g.edge(true, now); p != None {
		t.Error(p)
	}
	if p := g.edge(false, now.Add(100*ms)); p != None {
		t.Error(p)
	}
	if p := g.edge(true, now.Add(time.Second)); p != Short {
		t.Error(p)
	}
}

// TestGestureCounts holds any sequence to what bounds it: a press is told once, and a
// gesture never waits for something that does not come.
func TestGestureCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		does := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) contact {
			return contact{time.Duration(rapid.IntRange(0, 3_000_000).Draw(t, "µs")) * time.Microsecond, rapid.Bool().Draw(t, "down")}
		}), 0, 40).Draw(t, "does")
		closes := 0
		for i, d := range does {
			if d.down && (i == 0 || !does[i-1].down) {
				closes++
			}
		}
		if got := play(does); len(got) > closes {
			t.Fatalf("%d presses of %d times that it closed", len(got), closes)
		}
	})
}

// fake is a source that a test holds.
type fake struct {
	mu   sync.Mutex
	err  error // why it cannot be used
	edge func(bool)
	gone chan error
}

func (f *fake) Bounce() time.Duration { return 0 }
func (f *fake) String() string        { return "fake" }

func (f *fake) Follow(ctx context.Context, begun func(), edge func(bool)) error {
	f.mu.Lock()
	err := f.err
	f.edge = edge
	f.mu.Unlock()
	if err != nil {
		return err
	}
	begun()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-f.gone:
		return err
	}
}

func (f *fake) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fake) press(down bool) {
	f.mu.Lock()
	edge := f.edge
	f.mu.Unlock()
	edge(down)
}

// TestUnplugged has the button go while it is held, and come back later.
func TestUnplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{gone: make(chan error)}
		var log bytes.Buffer
		presses := make(chan Press, 10)
		b, err := New(Config{Source: f, Press: func(p Press) { presses <- p }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		f.press(true)
		time.Sleep(time.Second)
		f.set(errors.New("no such device"))
		f.gone <- errors.New("unplugged")
		time.Sleep(time.Hour)
		f.set(nil)
		time.Sleep(keep.DefaultRetry)
		synctest.Wait()
		f.press(true)
		f.press(false)
		f.press(true)
		time.Sleep(DefaultLong + time.Second)
		f.press(false)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(presses)
		var got []Press
		for p := range presses {
			got = append(got, p)
		}
		if !slices.Equal(got, []Press{Short, Long}) {
			t.Errorf("presses %v", got)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines in the log:\n%s", n, log.String())
		}
	})
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a button without a source is made")
	}
}
