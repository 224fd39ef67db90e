package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/enforce"
	"github.com/reprovision/reprovision/pkg/session"
)

// What the guard keeps below the settings' run_dir. It goes with the boot, and so does
// what it is worth.
const (
	authorizationFile = "authorization.json" // how the authorization stands
	expiresFile       = "expires"            // when it ends, in seconds since the boot; for reprovision-expiry.service
)

// guard keeps functions of the device on while the card allows it (claim 4). Where
// the settings choose none it does nothing, and its methods may be called all the same. It is safe
// for concurrent use.
type guard struct {
	cfg      config.Authorization
	clock    interface{ Read() backup.Reading }
	awake    func() time.Duration // since the boot, without sleep
	alarm    *backup.Alarm        // for the time that passes asleep, and for a clock that is set
	units    *enforce.Units
	sessions *enforce.Sessions
	levers   []*enforce.Lever
	log      *slog.Logger
	told     func(was, is authorization.State) // of each change of phase or reason
	wake     chan struct{}                     // holds one: when the functions go off may have changed
	doubt    chan struct{}                     // holds one: another proof is wanted at once

	mu     sync.Mutex
	state  authorization.State
	reader string     // the one of the last session
	run    session.ID // of its daemon
}

// newGuard takes up how the authorization stood. It switches nothing yet.
func newGuard(cfg config.Authorization, conn *dbus.Conn, now func() time.Time, told func(was, is authorization.State), changed func(), log *slog.Logger) (*guard, error) {
	g := &guard{cfg: cfg, log: log, told: told, awake: monotonic, wake: make(chan struct{}, 1), doubt: make(chan struct{}, 1)}
	var err error
	if g.clock, err = backup.NewClock(now); err != nil || !cfg.Governing() {
		return g, err
	}
	if err = os.MkdirAll(cfg.RunDir, 0o755); err != nil { // #nosec G301 -- scripts may look for the flag file
		return nil, fmt.Errorf("cannot make the directory for what goes with the boot: %w", err)
	}
	if g.alarm, err = backup.NewAlarm(); err != nil {
		return nil, err
	}
	if cfg.Governs(config.FunctionUnits) {
		g.units = enforce.NewUnits(conn, cfg.RunDir)
		g.levers = append(g.levers, enforce.NewLever(config.FunctionUnits, g.units, changed, log))
	}
	if cfg.Governs(config.FunctionSessions) {
		g.sessions = enforce.NewSessions(conn)
		g.levers = append(g.levers, enforce.NewLever(config.FunctionSessions, g.sessions, changed, log))
	}
	g.state = g.kept().Step(cfg.Grace.Duration, authorization.Event{Kind: authorization.Restarted, At: g.now()})
	return g, nil
}

// kept is the state of the run before; that of a first look if there is none.
func (g *guard) kept() authorization.State {
	raw, err := os.ReadFile(filepath.Join(g.cfg.RunDir, authorizationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return authorization.State{}
	}
	var s authorization.State
	if err == nil {
		s, err = authorization.ParseState(raw)
	}
	if err != nil {
		g.log.Error("cannot tell how the card's authorization stood; it has to prove anew", "error", err)
		return authorization.State{}
	}
	return s
}

// keep writes down how it stands; mu is held.
func (g *guard) keep() error {
	raw, err := g.state.Encode()
	if err == nil {
		err = renameio.WriteFile(filepath.Join(g.cfg.RunDir, authorizationFile), raw, 0o600)
	}
	if err == nil {
		ends := strconv.FormatInt(int64(g.state.Ends()/time.Second), 10)
		err = renameio.WriteFile(filepath.Join(g.cfg.RunDir, expiresFile), []byte(ends+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot keep how the authorization stands: %w", err)
	}
	return nil
}

// now looks at the clocks.
func (g *guard) now() authorization.Moment {
	r := g.clock.Read()
	return authorization.Moment{Boot: r.Boot, Up: r.Up, Awake: g.awake(), Wall: r.Wall}
}

func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // every kernel has it
	return time.Duration(ts.Nano())
}

// happened takes an event into account: what follows is switched, kept and told. An
// error says that it was not kept; it holds all the same until the daemon ends.
func (g *guard) happened(e authorization.Event) error {
	if !g.cfg.Governing() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	e.At = g.now()
	was := g.state
	g.state = was.Step(g.cfg.Grace.Duration, e)
	for _, l := range g.levers {
		l.Set(g.state.On())
	}
	is := g.state
	if is.Why != was.Why && (is.Why == authorization.Suspended || is.Why == authorization.ClockChanged) {
		kick(g.doubt)
	}
	if is.Wait() >= 0 && (was.Wait() < 0 || is.Ends() < was.Ends()) {
		kick(g.wake)
	}
	if is.Why != was.Why || is.Phase() != was.Phase() {
		g.told(was, is)
	}
	return g.keep()
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// note is happened where nobody can be told of an error.
func (g *guard) note(e authorization.Event) {
	if err := g.happened(e); err != nil {
		g.log.Error("the authorization would not outlast this daemon", "error", err)
	}
}

// missed says why no proof will come.
func (g *guard) missed(why authorization.Reason) {
	g.note(authorization.Event{Kind: authorization.Missed, Why: why})
}

// judged takes the outcome of a challenge that was drawn at that time.
func (g *guard) judged(state string, asked time.Duration) {
	switch state {
	case cardProven:
		g.note(authorization.Event{Kind: authorization.Answered, Asked: asked})
	case cardOther:
		g.missed(authorization.OtherCard)
	case cardUnproven:
		g.missed(authorization.Unproven)
	case cardAuthorized, cardBare:
		g.missed(authorization.NoRecord)
	}
}

// met takes note of a session: a reader that has made up another id since the last
// one was started anew.
func (g *guard) met(reader string, run session.ID) {
	g.mu.Lock()
	anew := g.reader == reader && g.run != run && run != (session.ID{}) && g.run != (session.ID{})
	g.reader, g.run = reader, run
	g.mu.Unlock()
	if anew {
		g.missed(authorization.ReaderRestarted)
	}
}

// beat ticks at each heartbeat, and never where the card governs nothing.
func (g *guard) beat() (beat <-chan time.Time, stop func()) {
	if !g.cfg.Governing() {
		return nil, func() {}
	}
	t := time.NewTicker(g.cfg.Heartbeat.Duration)
	return t.C, t.Stop
}

// Bounds of the time that a card has for its answer.
const (
	answerLeast = 5 * time.Second
	answerMost  = 2 * time.Minute // as long as the reader lets a visit to the card take
)

// answerTime is how long to wait for a card's answer: where heartbeats are sent, no
// longer than until the next, or a card that is slow for once would keep it from
// being asked again.
func (g *guard) answerTime() time.Duration {
	if !g.cfg.Governing() {
		return answerMost
	}
	return min(max(g.cfg.Heartbeat.Duration, answerLeast), answerMost)
}

// check has what is on looked at: somebody else may have switched it off.
func (g *guard) check() {
	for _, l := range g.levers {
		l.Check()
	}
}

// watch keeps the functions as the card allows until the context ends.
func (g *guard) watch(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		g.note(authorization.Event{Kind: authorization.Elapsed})
		wait := g.current().Wait()
		if wait < 0 {
			timer.Stop()
		} else {
			timer.Reset(wait)
		}
		if err := g.alarm.Set(wait); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C: // while the machine is awake
		case <-g.alarm.Rings():
		case <-g.wake:
		}
	}
}

func (g *guard) current() authorization.State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// close gives back what the guard holds. What it has switched stays as it is: systemd
// sees to its end while the daemon is away (reprovision-expiry.service).
func (g *guard) close() error {
	if g == nil || g.alarm == nil {
		return nil
	}
	return g.alarm.Close()
}
