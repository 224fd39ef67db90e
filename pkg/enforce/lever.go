package enforce

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"
)

// Function is something of the device that can be switched on and off.
type Function interface {
	// Switch makes it so, and returns when it is. It may be called again at any
	// time. After an error nobody knows how it is.
	Switch(ctx context.Context, on bool) error
}

// Checker is a Function that can tell whether it is on still; an error if it is not, or
// if nobody knows.
type Checker interface {
	Check(ctx context.Context) error
}

// Lever drives one Function to where it is wanted, and tries again for as long as
// that fails. It is safe for concurrent use.
type Lever struct {
	name     string
	function Function
	changed  func()
	log      *slog.Logger
	kick     chan struct{}

	mu    sync.Mutex
	want  *bool  // nil: nobody has said anything
	done  bool   // it is as wanted
	err   error  // why it is not
	again bool   // wanted once more, though it is
	check bool   // somebody wants to know whether it is on still
	gone  error  // it was as wanted, and is not any more
	stop  func() // ends the try under way
}

// NewLever makes the lever of a function. changed is called, from Run, when State
// may have changed.
func NewLever(name string, f Function, changed func(), log *slog.Logger) *Lever {
	return &Lever{name: name, function: f, changed: changed, log: log, kick: make(chan struct{}, 1), stop: func() {}}
}

// Name is what the function is called.
func (l *Lever) Name() string { return l.name }

// Set says what is wanted. It returns at once; a try to the other end is given up.
func (l *Lever) Set(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.want != nil && *l.want == on {
		return
	}
	l.want, l.done, l.err, l.gone = &on, false, nil, nil
	l.stop()
	l.wake()
}

// Again has the function switched once more to where it is wanted, if that is off:
// somebody else has switched it on.
func (l *Lever) Again() {
	l.mu.Lock()
	l.again = l.want != nil && !*l.want
	l.mu.Unlock()
	l.wake()
}

// Check has the function looked at, if it is on: somebody else may have switched it off,
// and State tells then. It is not switched on again, for whoever did may have had a reason.
func (l *Lever) Check() {
	l.mu.Lock()
	l.check = true
	l.mu.Unlock()
	l.wake()
}

func (l *Lever) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// State is whether the function is wanted on, whether it is as wanted, and
// else why not; a nil error while that is being seen to.
func (l *Lever) State() (on, done bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.want != nil && *l.want, l.done && l.gone == nil, cmp.Or(l.err, l.gone)
}

// Waits before another try: doubled each time; and the least time between two
// switchings to the same end.
const (
	retryFirst = time.Second
	retryLast  = 30 * time.Second
	pause      = time.Second
	switchTime = 10 * time.Second // for one try
)

// Run works the lever until the context ends, whose error it returns.
func (l *Lever) Run(ctx context.Context) error {
	var retry <-chan time.Time
	for wait := retryFirst; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.kick:
		case <-retry:
		}
		retry = nil
		on, needed, repeated := l.wanted()
		if !needed {
			l.look(ctx)
			continue
		}
		if !l.pull(ctx, on) {
			retry, wait = time.After(wait), min(2*wait, retryLast)
			continue
		}
		wait = retryFirst
		if repeated && !l.rest(ctx) {
			return ctx.Err()
		}
	}
}

// look sees whether what is on is on still, where that was asked for.
func (l *Lever) look(ctx context.Context) {
	checker, can := l.function.(Checker)
	if !l.checks() || !can {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, switchTime)
	defer cancel()
	err := checker.Check(bounded)
	if ctx.Err() == nil && l.found(err) {
		l.log.Warn("looked at a function that is to be on", "function", l.name, "error", err)
		l.changed()
	}
}

// rest keeps two sides that undo each other's work from doing so without a break.
func (l *Lever) rest(ctx context.Context) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *Lever) wanted() (on, needed, repeated bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	repeated, l.again = l.again, false
	if l.want == nil {
		return false, false, false
	}
	return *l.want, !l.done || repeated, repeated
}

// pull makes one try, and returns false if it failed and another is due.
func (l *Lever) pull(ctx context.Context, on bool) bool {
	bounded, cancel := context.WithTimeout(ctx, switchTime)
	defer cancel()
	if !l.begin(on, cancel) {
		return true
	}
	err := l.function.Switch(bounded, on)
	if !l.end(on, err) || ctx.Err() != nil {
		return true
	}
	if err != nil {
		l.log.Error("cannot switch a function", "function", l.name, "on", on, "error", err)
	} else {
		l.log.Info("switched a function", "function", l.name, "on", on)
	}
	l.changed()
	return err == nil
}

// begin and end bracket a try. They return false when it is wanted otherwise by
// now: a kick has come then.
func (l *Lever) begin(on bool, stop func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop = stop
	return *l.want == on
}

func (l *Lever) end(on bool, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop = func() {}
	if *l.want != on {
		return false
	}
	l.done, l.err, l.gone = err == nil, err, nil
	return true
}

// checks and found bracket a look. found tells whether it says something new.
func (l *Lever) checks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	check := l.check
	l.check = false
	return check && l.want != nil && *l.want && l.done
}

func (l *Lever) found(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !*l.want || !l.done {
		return false
	}
	news := (err == nil) != (l.gone == nil)
	l.gone = err
	return news
}
