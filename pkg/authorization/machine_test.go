package authorization_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reprovision/reprovision/pkg/authorization"
)

const grace = 30 * time.Second

// at is a look at the clocks of a device that was started at noon, so many seconds ago.
func at(seconds float64) authorization.Moment {
	up := time.Duration(seconds * float64(time.Second))
	return authorization.Moment{Boot: "one", Up: up, Awake: up, Wall: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(up)}
}

// asleep is that look after it has slept for some of the time.
func asleep(seconds, asleep float64) authorization.Moment {
	m := at(seconds)
	m.Awake -= time.Duration(asleep * float64(time.Second))
	return m
}

// set is that look after the time of day was set by so much.
func set(seconds float64, by time.Duration) authorization.Moment {
	m := at(seconds)
	m.Wall = m.Wall.Add(by)
	return m
}

func elapsed(m authorization.Moment) authorization.Event { return authorization.Event{At: m} }

func missed(seconds float64, why authorization.Reason) authorization.Event {
	return authorization.Event{Kind: authorization.Missed, At: at(seconds), Why: why}
}

func answered(seconds, asked float64) authorization.Event {
	return authorization.Event{Kind: authorization.Answered, At: at(seconds), Asked: at(asked).Up}
}

func restarted(m authorization.Moment) authorization.Event {
	return authorization.Event{Kind: authorization.Restarted, At: m}
}

func allowed(seconds float64, d time.Duration) authorization.Event {
	return authorization.Event{Kind: authorization.Allowed, At: at(seconds), For: d}
}

func revoked(seconds float64) authorization.Event {
	return authorization.Event{Kind: authorization.Revoked, At: at(seconds)}
}

// TestEveryEdge takes the machine from one state to each that may follow. All but
// the first rows begin with a card that has answered after 100 seconds.
func TestEveryEdge(t *testing.T) {
	const (
		on   = authorization.Enabled
		ends = authorization.Expiring
		word = authorization.Overridden
		off  = authorization.Disabled
	)
	otherBoot := at(110)
	otherBoot.Boot = "two"
	proof := answered(100.5, 100)
	events := func(e ...authorization.Event) []authorization.Event { return e }
	for name, c := range map[string]struct {
		events []authorization.Event
		phase  authorization.Phase
		why    authorization.Reason
		ends   float64 // seconds; 0: they are off
	}{
		"started":                         {events(elapsed(at(5))), off, authorization.Booted, 0},
		"nothing kept":                    {events(restarted(at(5))), off, authorization.Booted, 0},
		"started, and no reader near":     {events(elapsed(at(5)), missed(6, authorization.OutOfRange)), off, authorization.OutOfRange, 0},
		"started, and slept":              {events(elapsed(at(5)), elapsed(asleep(90, 80))), off, authorization.Suspended, 0},
		"the card answers":                {events(proof), on, authorization.Proven, 130},
		"and again":                       {events(proof, answered(110, 109.5)), on, authorization.Proven, 139.5},
		"almost too late":                 {events(proof, elapsed(at(129.999))), on, authorization.Proven, 130},
		"it stays silent":                 {events(proof, elapsed(at(130))), off, authorization.NoAnswer, 0},
		"a heartbeat is lost":             {events(proof, missed(120, authorization.NoAnswer)), ends, authorization.NoAnswer, 130},
		"and the next comes":              {events(proof, missed(120, authorization.NoAnswer), answered(121, 120.9)), on, authorization.Proven, 150.9},
		"the card is pulled":              {events(proof, missed(101, authorization.CardOut)), ends, authorization.CardOut, 130},
		"for longer than the grace":       {events(proof, missed(101, authorization.CardOut), elapsed(at(130))), off, authorization.CardOut, 0},
		"and put back in time":            {events(proof, missed(101, authorization.CardOut), answered(120, 119)), on, authorization.Proven, 149},
		"and put back too late":           {events(proof, elapsed(at(140)), missed(141, authorization.CardOut), answered(200, 199.5)), on, authorization.Proven, 229.5},
		"another card":                    {events(proof, missed(101, authorization.OtherCard), elapsed(at(131))), off, authorization.OtherCard, 0},
		"a copy of the card":              {events(proof, missed(101, authorization.Unproven), elapsed(at(131))), off, authorization.Unproven, 0},
		"no authorization on it":          {events(proof, missed(101, authorization.NoRecord), elapsed(at(131))), off, authorization.NoRecord, 0},
		"out of range":                    {events(proof, missed(101, authorization.OutOfRange)), ends, authorization.OutOfRange, 130},
		"out of range for long":           {events(proof, missed(101, authorization.OutOfRange), elapsed(at(140))), off, authorization.OutOfRange, 0},
		"the reader is started anew":      {events(proof, missed(101, authorization.OutOfRange), missed(104, authorization.ReaderRestarted)), ends, authorization.ReaderRestarted, 130},
		"and its card answers":            {events(proof, missed(104, authorization.ReaderRestarted), answered(105, 104.5)), on, authorization.Proven, 134.5},
		"and its card is out":             {events(proof, missed(104, authorization.ReaderRestarted), missed(105, authorization.CardOut), elapsed(at(131))), off, authorization.CardOut, 0},
		"the pairing is gone":             {events(proof, missed(101, authorization.Unpaired), elapsed(at(131))), off, authorization.Unpaired, 0},
		"the daemon is started anew":      {events(proof, restarted(at(101))), ends, authorization.DaemonRestarted, 130},
		"and the card answers":            {events(proof, restarted(at(101)), answered(102, 101.5)), on, authorization.Proven, 131.5},
		"and the card is silent":          {events(proof, restarted(at(101)), elapsed(at(130))), off, authorization.DaemonRestarted, 0},
		"and was away for long":           {events(proof, restarted(at(1000))), off, authorization.DaemonRestarted, 0},
		"a restart explains no card":      {events(proof, missed(101, authorization.CardOut), restarted(at(102))), ends, authorization.CardOut, 130},
		"a restart after the end":         {events(proof, elapsed(at(131)), restarted(at(132))), off, authorization.NoAnswer, 0},
		"the device is started anew":      {events(proof, restarted(otherBoot)), off, authorization.Booted, 0},
		"without a restart of the daemon": {events(proof, elapsed(otherBoot)), off, authorization.Booted, 0},
		"time goes backwards":             {events(proof, elapsed(at(99))), off, authorization.Booted, 0},
		"a nap":                           {events(proof, elapsed(asleep(120, 10))), ends, authorization.Suspended, 130},
		"a nap, and the card answers":     {events(proof, elapsed(asleep(120, 10)), authorization.Event{Kind: authorization.Answered, At: asleep(121, 10), Asked: at(120.5).Up}), on, authorization.Proven, 150.5},
		"a long sleep":                    {events(proof, elapsed(asleep(9999, 9000))), off, authorization.Suspended, 0},
		"a nap explains no card":          {events(proof, missed(101, authorization.CardOut), elapsed(asleep(120, 10))), ends, authorization.CardOut, 130},
		"the clock is set ahead":          {events(proof, elapsed(set(110, time.Hour))), ends, authorization.ClockChanged, 130},
		"the clock is set back":           {events(proof, elapsed(set(110, -time.Hour))), ends, authorization.ClockChanged, 130},
		"and no card answers":             {events(proof, elapsed(set(110, -time.Hour)), elapsed(set(130, -time.Hour))), off, authorization.ClockChanged, 0},
		"the clock is corrected":          {events(proof, elapsed(set(110, time.Second))), on, authorization.Proven, 130},
		"an old answer":                   {events(proof, answered(120, 99)), on, authorization.Proven, 130},
		"the same answer":                 {events(proof, answered(120, 100)), on, authorization.Proven, 130},
		"an answer that was held back":    {events(proof, elapsed(at(140)), answered(141, 110.9)), off, authorization.NoAnswer, 0},
		"an answer before its question":   {events(proof, elapsed(at(140)), answered(141, 142)), off, authorization.NoAnswer, 0},
		"an administrator's word":         {events(elapsed(at(5)), allowed(10, time.Hour)), word, authorization.Booted, 3610},
		"is over":                         {events(elapsed(at(5)), allowed(10, time.Hour), elapsed(at(3610))), off, authorization.Booted, 0},
		"is taken back":                   {events(elapsed(at(5)), allowed(10, time.Hour), revoked(11)), off, authorization.Booted, 0},
		"is taken back in the grace":      {events(proof, missed(101, authorization.CardOut), allowed(102, time.Hour), revoked(103)), ends, authorization.CardOut, 130},
		"outlasts the card":               {events(proof, allowed(102, time.Hour), missed(103, authorization.CardOut), elapsed(at(140))), word, authorization.CardOut, 3702},
		"changes nothing for a card":      {events(proof, allowed(102, time.Hour)), on, authorization.Proven, 3702},
		"ends before the grace does":      {events(proof, missed(101, authorization.CardOut), allowed(102, time.Second), elapsed(at(104))), ends, authorization.CardOut, 130},
		"outlasts the daemon":             {events(elapsed(at(5)), allowed(10, time.Hour), restarted(at(20))), word, authorization.Booted, 3610},
		"ends with the boot":              {events(proof, allowed(102, time.Hour), restarted(otherBoot)), off, authorization.Booted, 0},
		"has a limit":                     {events(elapsed(at(5)), allowed(10, 1e6*time.Hour)), word, authorization.Booted, 10 + 7*24*3600},
		"of no time":                      {events(elapsed(at(5)), allowed(10, -time.Hour)), off, authorization.Booted, 0},
	} {
		var s authorization.State
		for _, e := range c.events {
			s = s.Step(grace, e)
		}
		if s.Phase() != c.phase || s.Why != c.why || s.Ends() != at(c.ends).Up {
			t.Errorf("%s: %s, %s, until %v; want %s, %s, until %v s", name, s.Phase(), s.Why, s.Ends(), c.phase, c.why, c.ends)
		}
		if s.On() != (c.phase != off) || s.On() != (s.Ends() > s.Seen.Up) {
			t.Errorf("%s: on is %t", name, s.On())
		}
	}
}

func TestWait(t *testing.T) {
	var s authorization.State
	for _, c := range []struct {
		event authorization.Event
		wait  time.Duration
	}{
		{elapsed(at(1)), -1}, {answered(10, 9), 29 * time.Second}, {missed(20, authorization.CardOut), 19 * time.Second},
		{allowed(21, time.Second), time.Second}, {allowed(22, time.Hour), 17 * time.Second}, {elapsed(at(39)), time.Hour - 17*time.Second},
		{revoked(40), -1},
	} {
		if s = s.Step(grace, c.event); s.Wait() != c.wait {
			t.Errorf("after %+v: wait %v, want %v", c.event, s.Wait(), c.wait)
		}
	}
}

func TestSince(t *testing.T) {
	var s authorization.State
	for _, c := range []struct {
		event authorization.Event
		since float64
	}{
		{elapsed(at(1)), 1}, {answered(10, 9), 10}, {answered(20, 19), 10}, {missed(25, authorization.CardOut), 25},
		{missed(26, authorization.OutOfRange), 25}, {elapsed(at(50)), 50}, {elapsed(at(60)), 50},
	} {
		if s = s.Step(grace, c.event); s.Since != at(c.since).Up {
			t.Errorf("after %+v: since %v, want %v s", c.event, s.Since, c.since)
		}
	}
}

// Settings that were changed meanwhile never turn a promise into more than it was.
func TestNewGrace(t *testing.T) {
	s := authorization.State{}.Step(grace, answered(100, 99))
	if longer := s.Step(time.Hour, restarted(at(110))); longer.Ends() != at(129).Up {
		t.Errorf("a longer grace: until %v", longer.Ends())
	}
	if shorter := s.Step(time.Second, restarted(at(110))); shorter.On() {
		t.Errorf("a shorter grace: until %v", shorter.Ends())
	}
}

// TestNothingElseTurnsOn has all kinds of things happen in all orders: the functions
// are on only within the grace after a challenge that was answered, or on an
// administrator's word.
func TestNothingElseTurnsOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s authorization.State
		now, asked, until := at(1), time.Duration(-1<<60), time.Duration(0)
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			d := time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond
			now.Up, now.Wall = now.Up+d, now.Wall.Add(d+time.Duration(rapid.SampledFrom([]int{0, 0, 0, 3600, -9e6}).Draw(t, "set"))*time.Second)
			if !rapid.Bool().Draw(t, "asleep") {
				now.Awake += d
			}
			e := authorization.Event{At: now, Kind: authorization.Kind(rapid.IntRange(0, 5).Draw(t, "kind"))}
			switch e.Kind {
			case authorization.Answered:
				e.Asked = now.Up - time.Duration(rapid.IntRange(-1000, 60_000).Draw(t, "late"))*time.Millisecond
				if e.Asked <= now.Up {
					asked = max(asked, e.Asked)
				}
			case authorization.Missed:
				e.Why = rapid.SampledFrom([]authorization.Reason{authorization.CardOut, authorization.OutOfRange}).Draw(t, "why")
			case authorization.Allowed:
				e.For = time.Minute
				until = now.Up + time.Minute
			case authorization.Revoked:
				until = 0
			case authorization.Restarted:
				raw, err := s.Encode()
				if err != nil {
					t.Fatal(err)
				}
				if s, err = authorization.ParseState(raw); err != nil && s.Seen.Boot != "" {
					t.Fatal(err)
				}
			}
			if s = s.Step(grace, e); s.On() && now.Up >= asked+grace && now.Up >= until {
				t.Fatalf("on at %v, asked at %v, word until %v: %+v", now.Up, asked, until, s)
			}
		}
	})
}

func TestStateIsKept(t *testing.T) {
	s := authorization.State{}.Step(grace, answered(100, 99)).Step(grace, allowed(101, time.Hour)).Step(grace, missed(102, authorization.CardOut))
	raw, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := authorization.ParseState(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, again); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		"", "null", "{}", "[]", `{"version":1}`, `{"version":2,"seen":{"boot":"one","up":9},"why":"boot"}`,
		`{"version":1,"seen":{"boot":"one","up":9},"why":"because"}`, `{"version":1,"seen":{"boot":"one","up":9},"why":"boot","asked":10}`,
		`{"version":1,"seen":{"boot":"one","up":9},"why":"boot","expires":-1}`, string(make([]byte, 5000)),
	} {
		if _, err := authorization.ParseState([]byte(bad)); !errors.Is(err, authorization.ErrState) {
			t.Errorf("%.40q gives %v", bad, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	s := authorization.State{}.Step(grace, answered(100, 99))
	raw, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := authorization.ParseState(raw)
		if err != nil {
			if !errors.Is(err, authorization.ErrState) {
				t.Errorf("error without ErrState: %v", err)
			}
			return
		}
		if s = s.Step(grace, restarted(at(1e6))); s.Expires > 0 && s.Expires > s.Asked+grace {
			t.Errorf("on until %v, asked at %v", s.Expires, s.Asked)
		}
	})
}
