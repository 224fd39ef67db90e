package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/session"
)

// What the automatic backup keeps in the state.
const (
	keySchedule = "schedule" // what the owner said of it
	keySpan     = "span"     // how long ago the last backup was, and what came of the last attempt
)

// auto is how the automatic backup stands: what was said of it, how much time has
// passed, what came of it last. It is safe for concurrent use.
type auto struct {
	state    *state
	settings config.Backup
	clock    interface{ Read() backup.Reading }
	alarm    *backup.Alarm
	wake     chan struct{} // holds one: something has changed
	asked    func()        // called when the owner is asked for something else; may be nil
	log      *slog.Logger

	mu       sync.Mutex
	word     *word // the owner's; nil for none
	span     backup.Span
	last     lastRun
	met      *session.Session // its beginning is over
	prompt   string           // what the owner is asked for
	failures int              // in a row
	rest     time.Duration    // no attempt before the machine is up for that long
	stale    bool             // the reader has to hear of a new plan
}

// word is what the owner said at step 514. It goes before the settings file: that is
// what an administrator thinks fit for whoever says nothing, and is read anew at each
// start, while the owner has said what they want, once. Who must not say so is for
// polkit to tell.
type word struct {
	Off   bool          `json:"off"`
	Every time.Duration `json:"every"`
	Full  bool          `json:"full"`
}

// lastRun is what came of the last attempt.
type lastRun struct {
	At     int64  `json:"at"` // seconds since the epoch
	Result string `json:"result"`
	Reason string `json:"reason"`
}

// progressRecord is the value of keySpan.
type progressRecord struct {
	Span backup.Span `json:"span"`
	Last lastRun     `json:"last"`
}

func newAuto(settings config.Backup, st *state, now func() time.Time, log *slog.Logger) (*auto, error) {
	a := &auto{state: st, settings: settings, wake: make(chan struct{}, 1), log: log}
	var err error
	if a.clock, err = backup.NewClock(now); err != nil {
		return nil, err
	}
	if a.alarm, err = backup.NewAlarm(); err != nil {
		return nil, err
	}
	var w word
	known, err := a.read(keySchedule, &w)
	if known && !w.Off && (w.Every < backup.MinEvery || w.Every > backup.MaxEvery) {
		known, err = false, fmt.Errorf("a span of %v", w.Every)
	}
	if known {
		a.word = &w
	}
	var p progressRecord
	_, perr := a.read(keySpan, &p)
	if err = errors.Join(err, perr); err != nil {
		log.Error("cannot read all that was said of the automatic backup, going on without", "error", err)
	}
	a.span, a.last = p.Span, p.Last
	return a, a.note()
}

func (a *auto) read(key string, into any) (bool, error) {
	raw, err := a.state.get(key)
	if err != nil || raw == nil {
		return false, err
	}
	return true, json.Unmarshal(raw, into)
}

func (a *auto) write(key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode %q of the state: %w", key, err)
	}
	return a.state.put(map[string][]byte{key: raw})
}

// kick has the loop look again.
func (a *auto) kick() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// said is what holds: the owner's word, or the settings file's.
func (a *auto) said() (w word, by string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds()
}

// holds is said with mu held.
func (a *auto) holds() (w word, by string) {
	if a.word != nil {
		return *a.word, "owner"
	}
	if a.settings.Every.Duration != 0 {
		return word{Every: a.settings.Every.Duration, Full: a.settings.Mode == "full"}, "settings"
	}
	return word{}, ""
}

// schedule is the one that holds; mu is held.
func (a *auto) schedule() backup.Schedule {
	w, _ := a.holds()
	return backup.Schedule{Every: w.Every, Span: a.span}
}

// say takes the owner's word down.
func (a *auto) say(w word) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.write(keySchedule, w); err != nil {
		return err
	}
	a.word, a.failures, a.rest, a.stale = &w, 0, 0, true
	a.want("")
	a.kick()
	return nil
}

// note writes down how much time has passed.
func (a *auto) note() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.span = a.span.At(a.clock.Read())
	return a.keep()
}

// keep writes the span and the last attempt down; mu is held.
func (a *auto) keep() error { return a.write(keySpan, progressRecord{Span: a.span, Last: a.last}) }

// worth is which part of the span is worth noting.
const worth = 20

// noteNow and then writes down how much time has passed: where the clock was set,
// or enough has passed that losing it in a power cut would be a pity.
func (a *auto) noteNow() error {
	a.mu.Lock()
	now := a.clock.Read()
	w, _ := a.holds()
	needless := !a.span.Stepped(now) && now.Up-a.span.Up < max(w.Every/worth, time.Minute)
	a.mu.Unlock()
	if needless {
		return nil
	}
	return a.note()
}

// reset begins the span anew: a backup was made, or nothing had changed.
func (a *auto) reset(r busapi.BackupResult) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.span = backup.NewSpan(a.clock.Read(), 0, uint16(rand.Uint32())) // #nosec G404 -- jitter is no secret
	a.last = lastRun{At: a.clock.Read().Wall.Unix(), Result: resultUnchanged, Reason: shortcomings(r)}
	if r.Changed {
		a.last.Result = resultSaved
	}
	a.failures, a.rest, a.stale = 0, 0, true
	a.want("")
	a.kick()
	return a.keep()
}

// shortcomings is what the owner should know of a backup that was made.
func shortcomings(r busapi.BackupResult) string {
	var all []string
	if n := len(r.Held); n > 0 {
		all = append(all, fmt.Sprintf("%d damaged or unreadable items kept as they were last good", n))
	}
	if n := len(r.Skipped); n > 0 {
		all = append(all, fmt.Sprintf("%d items could not be saved", n))
	}
	switch r.Card.State {
	case "full", "other-vault", "error", "unformatted", "blank":
		all = append(all, fmt.Sprintf("the card could not take it (%s)", r.Card.State))
	}
	return joined(all)
}

// end is the last that is noted, in an orderly end.
func (a *auto) end() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.span = a.span.Ended(a.clock.Read())
	return errors.Join(a.keep(), a.alarm.Close())
}

// close is for a daemon that has never run.
func (a *auto) close() error {
	if a == nil || a.alarm == nil {
		return nil
	}
	return a.alarm.Close()
}

// meet takes note of a session whose beginning is over: a backup that is due is
// made at once.
func (a *auto) meet(s *session.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.met, a.rest = s, 0
	a.kick()
}

// plan is what the reader is told.
func (a *auto) plan() session.BackupPlan {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.schedule()
	if s.Every == 0 {
		return session.BackupPlan{}
	}
	return session.BackupPlan{Every: s.Every, DueIn: s.Left(a.clock.Read())}
}
