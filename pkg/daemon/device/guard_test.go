package device

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/enforce/enforcetest"
	"github.com/reprovision/reprovision/pkg/session"
)

// hand is a clock that goes on when somebody moves it.
type hand struct {
	mu sync.Mutex
	up time.Duration
}

func (h *hand) Read() backup.Reading {
	h.mu.Lock()
	defer h.mu.Unlock()
	return backup.Reading{Boot: "one", Up: h.up, Wall: time.Unix(1_000_000, 0).Add(h.up)}
}

func (h *hand) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up += d
}

func governing(dir string) config.Authorization {
	a := config.DefaultDevice().Authorization
	a.Functions, a.RunDir = []string{config.FunctionUnits, config.FunctionSessions}, filepath.Join(dir, "run")
	return a
}

// openGuard makes a guard that goes by the hand, and begins anew with what is kept.
func openGuard(t *testing.T, cfg config.Authorization, h *hand, told func(was, is authorization.State)) *guard {
	t.Helper()
	if told == nil {
		told = func(_, _ authorization.State) {}
	}
	g, err := newGuard(cfg, nil, time.Now, told, func() {}, bustest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.close() })
	g.clock, g.awake = h, func() time.Duration { return h.Read().Up }
	if cfg.Governing() { // newGuard has gone by the machine's own clocks
		g.state = g.kept().Step(cfg.Grace.Duration, authorization.Event{Kind: authorization.Restarted, At: g.now()})
	}
	return g
}

func stands(t *testing.T, g *guard, phase authorization.Phase, why authorization.Reason) {
	t.Helper()
	g.note(authorization.Event{Kind: authorization.Elapsed})
	if s := g.current(); s.Phase() != phase || s.Why != why {
		t.Errorf("it stands at %s, %s; want %s, %s", s.Phase(), s.Why, phase, why)
	}
}

func TestGuardAcrossRestarts(t *testing.T) {
	h, cfg := &hand{up: time.Hour}, governing(t.TempDir())
	g := openGuard(t, cfg, h, nil)
	stands(t, g, authorization.Disabled, authorization.Booted)
	g.judged(cardProven, h.Read().Up)
	stands(t, g, authorization.Enabled, authorization.Proven)
	h.move(20 * time.Second)
	g = openGuard(t, cfg, h, nil)
	stands(t, g, authorization.Expiring, authorization.DaemonRestarted)
	h.move(9 * time.Second)
	g = openGuard(t, cfg, h, nil) // as often as one likes
	stands(t, g, authorization.Expiring, authorization.DaemonRestarted)
	h.move(time.Second)
	stands(t, openGuard(t, cfg, h, nil), authorization.Disabled, authorization.DaemonRestarted)
}

func TestGuardWithoutMemory(t *testing.T) {
	h, cfg := &hand{up: time.Hour}, governing(t.TempDir())
	file := filepath.Join(cfg.RunDir, authorizationFile)
	g := openGuard(t, cfg, h, nil)
	g.judged(cardProven, h.Read().Up)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"gone": "", "torn": string(raw[:len(raw)/2]), "of another version": strings.Replace(string(raw), `"version":1`, `"version":9`, 1),
		"of another boot": strings.Replace(string(raw), `"boot":"one"`, `"boot":"two"`, 1),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "gone" {
			os.Remove(file)
		}
		if s := openGuard(t, cfg, h, nil).current(); s.On() || s.Why != authorization.Booted {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if err := os.RemoveAll(cfg.RunDir); err != nil {
		t.Fatal(err)
	}
	if err := g.happened(authorization.Event{Kind: authorization.Revoked}); err == nil {
		t.Error("what could not be kept is no error")
	}
}

func TestGuardOfNothing(t *testing.T) {
	cfg := governing(t.TempDir())
	cfg.Functions = []string{}
	g := openGuard(t, cfg, &hand{}, func(_, _ authorization.State) { t.Error("told of something") })
	g.missed(authorization.CardOut)
	g.judged(cardProven, 0)
	g.met("a", session.ID{1})
	g.met("a", session.ID{2})
	beat, stop := g.beat()
	stop()
	if _, err := os.Stat(cfg.RunDir); beat != nil || g.wanting() || g.info().State != "off" || err == nil {
		t.Errorf("%v, %t, %+v, %v", beat, g.wanting(), g.info(), err)
	}
}

// Another reader's daemon is another one, and so is one that does not tell.
func TestGuardKnowsTheReadersRun(t *testing.T) {
	h := &hand{up: time.Hour}
	var heard []authorization.Reason
	g := openGuard(t, governing(t.TempDir()), h, func(_, is authorization.State) { heard = append(heard, is.Why) })
	for _, m := range []struct {
		reader string
		run    session.ID
		anew   bool
	}{
		{"a", session.ID{1}, false}, {"a", session.ID{1}, false}, {"a", session.ID{2}, true}, {"b", session.ID{3}, false},
		{"b", session.ID{}, false}, {"b", session.ID{4}, false}, {"b", session.ID{5}, true},
	} {
		g.missed(authorization.OutOfRange)
		heard = nil
		if g.met(m.reader, m.run); (len(heard) == 1 && heard[0] == authorization.ReaderRestarted) != m.anew {
			t.Errorf("%+v: told %v", m, heard)
		}
	}
}

func TestGuardTells(t *testing.T) {
	h, cfg := &hand{up: time.Hour}, governing(t.TempDir())
	var told []string
	g := openGuard(t, cfg, h, func(was, is authorization.State) {
		told = append(told, string(was.Phase())+" "+string(is.Phase())+" "+string(is.Why))
	})
	g.judged(cardProven, h.Read().Up)
	for range 3 { // heartbeats make no noise
		h.move(5 * time.Second)
		g.judged(cardProven, h.Read().Up)
	}
	g.judged(cardOther, h.Read().Up)
	g.judged(cardUnproven, h.Read().Up)
	h.move(time.Minute)
	g.note(authorization.Event{Kind: authorization.Elapsed})
	want := "disabled enabled proven, enabled expiring other-card, expiring expiring unproven, expiring disabled unproven"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
	i := g.info()
	if i.State != "disabled" || i.Reason != "unproven" || i.LastProof != 1_000_000+3615 || i.Since != 1_000_000+3675 || i.Expires != 0 || len(i.Functions) != 2 {
		t.Errorf("info %+v", i)
	}
}

func TestWhatAnErrorSaysOfTheCard(t *testing.T) {
	for _, c := range []struct {
		err  error
		card session.CardStatus
		want authorization.Reason
	}{
		{fmt.Errorf("the reader: %w", session.ErrCard), session.CardNone, authorization.CardOut},
		{fmt.Errorf("the reader: %w", session.ErrCard), session.CardError, authorization.NoAnswer},
		{fmt.Errorf("the reader: %w", session.ErrCard), session.CardOK, authorization.NoAnswer}, // exchanged just now
		{session.ErrNoVault, session.CardNone, authorization.NoRecord},
		{session.ErrBusy, session.CardNone, authorization.NoAnswer},
		{context.DeadlineExceeded, session.CardNone, authorization.NoAnswer},
	} {
		d := &Daemon{keeper: newKeeper(nil, nil, config.DefaultDevice(), nil, bustest.Quiet())}
		d.keeper.setCard(session.CardState{Status: c.card})
		if got := d.noProof(c.err); got != c.want {
			t.Errorf("%v with the card %v: %s, want %s", c.err, c.card, got, c.want)
		}
	}
}

// TestGuardSwitches has a guard go by the machine's clocks, with systemd and logind played.
func TestGuardSwitches(t *testing.T) {
	bus := bustest.Start(t)
	system, err := enforcetest.New(bus.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := governing(t.TempDir())
	cfg.Heartbeat.Duration, cfg.Grace.Duration = 200*time.Millisecond, 2*time.Second
	conn := bus.Connect(t)
	g, err := newGuard(cfg, conn, time.Now, func(_, _ authorization.State) {}, func() {}, bustest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { _ = g.alarm.Run(ctx) })
	group.Go(func() { _ = g.watch(ctx) })
	for _, l := range g.levers {
		group.Go(func() { _ = l.Run(ctx) })
	}
	seen := ""
	did := func(call string) {
		t.Helper()
		bustest.Until(t, call, func() bool {
			seen += strings.Join(system.Take(), "\n") + "\n"
			return strings.Contains(seen, call)
		})
		seen = ""
	}
	state := func(want string) {
		t.Helper()
		bustest.Until(t, want, func() bool {
			for _, f := range g.info().Functions {
				if f.State != want {
					return false
				}
			}
			return true
		})
	}
	did("lock")
	state("disabled")
	g.judged(cardProven, g.now().Up)
	did("start reprovision-authorized.target")
	state("enabled")
	state("disabled") // by itself, when the grace is over
	if s := g.current(); s.On() || s.Why != authorization.NoAnswer {
		t.Errorf("it stands at %+v", s)
	}
	g.judged(cardProven, g.now().Up)
	did("start reprovision-authorized.target")
	cancel()
	group.Wait()
	if err := g.close(); err != nil {
		t.Error(err)
	}
	raw, err := os.ReadFile(filepath.Join(cfg.RunDir, expiresFile)) // what systemd goes by from now on
	if err != nil || string(raw) != strconv.FormatInt(int64(g.current().Ends()/time.Second), 10)+"\n" {
		t.Errorf("it ends at %q, %v; want %v", raw, err, g.current().Ends())
	}
}
