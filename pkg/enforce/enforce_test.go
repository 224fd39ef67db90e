package enforce_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi/bustest"
	"github.com/reprovision/reprovision/pkg/enforce"
	"github.com/reprovision/reprovision/pkg/enforce/enforcetest"
)

const (
	start = "start reprovision-authorized.target replace"
	stop  = "stop reprovision-authorized.target replace"
)

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func newSystem(t *testing.T, bus *bustest.Bus) *enforcetest.System {
	t.Helper()
	s, err := enforcetest.New(bus.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func did(t *testing.T, s *enforcetest.System, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.Take()); diff != "" {
		t.Error(diff)
	}
}

func TestUnits(t *testing.T) {
	bus := bustest.Start(t)
	s, dir := newSystem(t, bus), t.TempDir()
	u, flag := enforce.NewUnits(bus.Connect(t), dir), filepath.Join(dir, "authorized")
	for _, on := range []bool{false, true, true, false, false} {
		if err := u.Switch(t.Context(), on); err != nil || exists(flag) != on {
			t.Errorf("on %t: %v, flag %t", on, err, exists(flag))
		}
	}
	did(t, s, stop, start, start, stop, stop)
}

func TestUnitsThatDoNotFollow(t *testing.T) {
	bus := bustest.Start(t)
	s, dir := newSystem(t, bus), t.TempDir()
	u, flag := enforce.NewUnits(bus.Connect(t), dir), filepath.Join(dir, "authorized")
	if err := u.Switch(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	s.Fail(stop, "org.freedesktop.systemd1.ShuttingDown")
	if err := u.Switch(t.Context(), false); err == nil || exists(flag) {
		t.Errorf("a stop that fails: %v, flag %t", err, exists(flag))
	}
	s.Fail(stop, "")
	if err := u.Switch(t.Context(), false); err != nil {
		t.Errorf("a stop after one that failed: %v", err)
	}
	s.Fail(stop, "org.freedesktop.systemd1.NoSuchUnit")
	if err := u.Switch(t.Context(), false); err != nil {
		t.Errorf("a target that was never loaded: %v", err)
	}
	s.Fail(stop, "")
	s.Slow()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := u.Switch(ctx, false); err == nil {
		t.Error("a target that is still stopping counts as off")
	}
	s.Fail(start, "org.freedesktop.systemd1.NoSuchUnit")
	if err := u.Switch(t.Context(), true); err == nil {
		t.Error("a target that is not installed counts as on")
	}
	if err := enforce.NewUnits(bus.Connect(t), filepath.Join(dir, "none")).Switch(t.Context(), true); err == nil {
		t.Error("on without a flag file")
	}
}

func TestReturn(t *testing.T) {
	const (
		back = "stop reprovision-expiry.service replace"
		done = "stop reprovision-unauthorized.service replace"
	)
	bus := bustest.Start(t)
	s := newSystem(t, bus)
	u := enforce.NewUnits(bus.Connect(t), t.TempDir())
	for name, fails := range map[string]bool{"": false, "org.freedesktop.systemd1.NoSuchUnit": false, "org.freedesktop.systemd1.ShuttingDown": true} {
		s.Fail(done, name)
		if err := u.Return(t.Context()); (err != nil) != fails {
			t.Errorf("%q: %v", name, err)
		}
		s.Fail(back, name)
		if err := u.Return(t.Context()); (err != nil) != fails {
			t.Errorf("%q: %v", name, err)
		}
		s.Fail(back, "")
		want := []string{back, done, back, done}
		if fails {
			want = want[:3]
		}
		did(t, s, want...)
	}
	s.Fail(done, "")
	s.Slow()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := u.Return(ctx); err == nil {
		t.Error("back while the end of the authorization is under way still")
	}
}

// A target that somebody else stops is told of, and not started again.
func TestStoppedBySomebodyElse(t *testing.T) {
	bus := bustest.Start(t)
	s, dir := newSystem(t, bus), t.TempDir()
	l := enforce.NewLever("units", enforce.NewUnits(bus.Connect(t), dir), func() {}, bustest.Quiet())
	run(t, l.Run)
	is := func(done, failed bool) func() bool {
		return func() bool {
			l.Check()
			on, d, err := l.State()
			return on && d == done && (err != nil) == failed
		}
	}
	l.Set(true)
	bustest.Until(t, "on", is(true, false))
	other := enforce.NewUnits(bus.Connect(t), dir)
	send(t, other.Switch(t.Context(), false))
	bustest.Until(t, "off", is(false, true))
	did(t, s, start, stop)
	send(t, other.Switch(t.Context(), true))
	bustest.Until(t, "on again", is(true, false))
	l.Set(false)
	bustest.Until(t, "off as wanted", func() bool { on, done, err := l.State(); return !on && done && err == nil })
	did(t, s, start, stop)
}

func TestWithoutSystemd(t *testing.T) {
	conn := bustest.Start(t).Connect(t)
	for _, on := range []bool{true, false} {
		if err := enforce.NewUnits(conn, t.TempDir()).Switch(t.Context(), on); err == nil {
			t.Errorf("on %t: no error", on)
		}
	}
	if err := enforce.NewSessions(conn).Switch(t.Context(), false); err == nil {
		t.Error("locked without logind")
	}
}

// run runs a function until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := bustest.Wait(t, ended, "the end"); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func send(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever is off and logs in, or unlocks a screen, finds it locked again.
func TestSessionsAreLockedAgain(t *testing.T) {
	bus := bustest.Start(t)
	s := newSystem(t, bus)
	sessions := enforce.NewSessions(bus.Connect(t))
	lever := enforce.NewLever("sessions", sessions, func() {}, bustest.Quiet())
	opened := make(chan struct{}, 16)
	run(t, lever.Run)
	run(t, func(ctx context.Context) error {
		return sessions.Run(ctx, func() { lever.Again(); opened <- struct{}{} })
	})
	bustest.Until(t, "listening", func() bool {
		send(t, s.Begun())
		select {
		case <-opened:
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	})
	n := 0
	locks := func() int { n += len(s.Take()); return n }
	lever.Set(true)
	send(t, s.Hint(false))
	bustest.Wait(t, opened, "the hint")
	if locks() != 0 {
		t.Errorf("locked %d times while on", n)
	}
	lever.Set(false)
	bustest.Until(t, "the lock", func() bool { return locks() == 1 })
	send(t, s.Hint(true)) // it has locked
	for i, tell := range []func() error{func() error { return s.Hint(false) }, s.Begun} {
		send(t, tell())
		bustest.Until(t, "another lock", func() bool { return locks() == i+2 })
	}
}

// scripted is a function that fails as often as it is told, and can be held up.
type scripted struct {
	mu    sync.Mutex
	fails int
	calls []bool
	hold  chan struct{} // nil: not
}

func (s *scripted) Switch(ctx context.Context, on bool) error {
	s.mu.Lock()
	s.calls = append(s.calls, on)
	hold := s.hold
	s.hold = nil
	s.mu.Unlock()
	if hold != nil {
		close(hold)
		<-ctx.Done()
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return dbus.ErrClosed
	}
	return nil
}

func (s *scripted) seen() []bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]bool(nil), s.calls...)
}

func TestLeverTriesAgain(t *testing.T) {
	f := &scripted{fails: 1}
	failed := make(chan error, 8)
	var l *enforce.Lever
	l = enforce.NewLever("x", f, func() { _, _, err := l.State(); failed <- err }, bustest.Quiet())
	if on, done, err := l.State(); on || done || err != nil {
		t.Errorf("untouched: %t, %t, %v", on, done, err)
	}
	run(t, l.Run)
	l.Again() // nobody has said anything
	l.Set(true)
	if err := bustest.Wait(t, failed, "the first try"); !errors.Is(err, dbus.ErrClosed) {
		t.Errorf("the first try: %v", err)
	}
	if err := bustest.Wait(t, failed, "the second try"); err != nil {
		t.Errorf("the second try: %v", err)
	}
	if on, done, err := l.State(); !on || !done || err != nil {
		t.Errorf("on: %t, %t, %v", on, done, err)
	}
	l.Set(true)
	l.Again() // which is for what is off
	l.Set(false)
	bustest.Wait(t, failed, "off")
	if diff := cmp.Diff([]bool{true, true, false}, f.seen()); diff != "" {
		t.Error(diff)
	}
}

// What takes long on the way on does not hold up the way off.
func TestLeverGivesUpTheOtherWay(t *testing.T) {
	held := make(chan struct{})
	f := &scripted{hold: held}
	changed := make(chan struct{}, 8)
	l := enforce.NewLever("x", f, func() { changed <- struct{}{} }, bustest.Quiet())
	run(t, l.Run)
	began := time.Now()
	l.Set(true)
	bustest.Wait(t, held, "the way on")
	l.Set(false)
	bustest.Wait(t, changed, "off")
	if on, done, err := l.State(); on || !done || err != nil {
		t.Errorf("off: %t, %t, %v", on, done, err)
	}
	if took := time.Since(began); took > 9*time.Second { // a try that nobody ends takes ten
		t.Errorf("took %v", took)
	}
}
