package attempts

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

const killEnv = "ATTEMPTS_KILL_PATH"

// TestMain turns the test binary into the process to be killed when asked.
func TestMain(m *testing.M) {
	if path := os.Getenv(killEnv); path != "" {
		fmt.Println("error", guess(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// guess makes one attempt after the other and says each that was counted, until it
// is killed.
func guess(path string) error {
	l, err := Open(path, Policy{Tries: 1 << 20}, HostClock())
	if err != nil {
		return err
	}
	for {
		c, err := l.Begin([16]byte{1})
		if err != nil {
			return err
		}
		fmt.Println(c.Wrong)
	}
}

// TestKill kills a process that guesses with -9, over and over. Each attempt that it
// could have answered is in the count, and no more than the one under way besides.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attempts.db")
	total := 0
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 3+round && lines.Scan(); n++ {
			if _, err := fmt.Sscan(lines.Text(), &total); err != nil {
				t.Fatalf("%q", lines.Text())
			}
		}
		_ = cmd.Process.Kill()
		for lines.Scan() {
			_, _ = fmt.Sscan(lines.Text(), &total)
		}
		_ = cmd.Wait()
		l, err := Open(path, Policy{Tries: 1 << 20}, HostClock())
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Look([16]byte{1})
		if err != nil || c.Wrong < total || c.Wrong > total+1 {
			t.Fatalf("round %d: %d are counted, %d were told; %v", round, c.Wrong, total, err)
		}
		total = c.Wrong
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// world is a ledger that is opened anew at every step, with a clock of its own, and
// what it should say.
type world struct {
	path   string
	boot   int
	up     time.Duration
	policy Policy
	wrong  map[byte]int
	last   map[byte]time.Duration // since the host was started; less than 0: before
}

func (w *world) with(t *rapid.T, do func(*Ledger)) {
	l, err := Open(w.path, w.policy, func() (string, time.Duration) { return fmt.Sprint(w.boot), w.up })
	if err != nil {
		t.Fatal(err)
	}
	do(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// due is what the model says of an attempt now.
func (w *world) due(vault byte) (wait time.Duration, locked bool) {
	n := w.wrong[vault]
	if n >= w.policy.Tries {
		return 0, true
	}
	if n == 0 {
		return 0, false
	}
	delay := w.policy.Delay
	for range n - 1 {
		delay = min(2*delay, w.policy.MaxDelay)
	}
	return max(0, delay-(w.up-w.last[vault])), false
}

func (w *world) begin(t *rapid.T) {
	vault := rapid.ByteRange(1, 2).Draw(t, "vault")
	w.with(t, func(l *Ledger) {
		wait, locked := w.due(vault)
		c, err := l.Begin([16]byte{vault})
		var out *LockedOut
		switch {
		case locked || wait > 0:
			if !errors.As(err, &out) || !errors.Is(err, ErrLockedOut) || out.RetryAfter != wait {
				t.Fatalf("locked %v, to wait %v: %v", locked, wait, err)
			}
		case err != nil:
			t.Fatal(err)
		default:
			w.wrong[vault]++
			w.last[vault] = w.up
			if c.Left != w.policy.Tries-w.wrong[vault] {
				t.Fatalf("%d left", c.Left)
			}
		}
	})
}

func (w *world) reset(t *rapid.T) {
	vault := rapid.ByteRange(1, 2).Draw(t, "vault")
	w.with(t, func(l *Ledger) {
		if err := l.Reset([16]byte{vault}); err != nil {
			t.Fatal(err)
		}
		delete(w.wrong, vault)
	})
}

func (w *world) check(t *rapid.T) {
	w.with(t, func(l *Ledger) {
		for _, vault := range []byte{1, 2} {
			c, err := l.Look([16]byte{vault})
			if err != nil || c.Wrong != w.wrong[vault] || c.Left != w.policy.Tries-w.wrong[vault] {
				t.Fatalf("vault %d: %+v, %v; want %d", vault, c, err, w.wrong[vault])
			}
		}
	})
}

// TestModel makes attempts, lets time pass or starts the host anew, and forgets, in any
// order, with a restart at every step. Never is there one attempt more than the
// policy has, and never one before its time.
func TestModel(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		w := &world{
			path: filepath.Join(dir, fmt.Sprint(n)), up: time.Minute,
			policy: Policy{Tries: rapid.IntRange(1, 6).Draw(rt, "tries"), Delay: time.Second, MaxDelay: 5 * time.Second},
			wrong:  make(map[byte]int), last: make(map[byte]time.Duration),
		}
		defer os.Remove(w.path)
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 12).Draw(rt, "steps")
		for _, s := range steps {
			switch {
			case s < 5:
				w.begin(rt)
			case s < 8:
				w.up += time.Duration(rapid.IntRange(0, 6000).Draw(rt, "ms")) * time.Millisecond
			case s == 8:
				w.boot, w.up = w.boot+1, 0
				clear(w.last) // all that is known of them is that they were before
			default:
				w.reset(rt)
			}
			w.check(rt)
		}
	})
}

func TestDelays(t *testing.T) {
	p := Policy{Tries: 10, Delay: time.Second, MaxDelay: 10 * time.Second}
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 90: 10 * time.Second} {
		if got := p.after(n); got != want {
			t.Errorf("after %d: %v, want %v", n, got, want)
		}
	}
}

// TestDamaged changes each byte of a count: it never becomes a smaller one.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attempts.db")
	l, err := Open(path, Policy{Tries: 3}, HostClock())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Begin([16]byte{1}); err != nil {
		t.Fatal(err)
	}
	whole := encode(Count{Wrong: 1, last: HostClock().moment()})
	for i := range len(whole) + 1 {
		bad := append([]byte{}, whole...)
		if i < len(bad) {
			bad[i] ^= 1
		} else {
			bad = bad[:7]
		}
		err := l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte{1, 15: 0}, bad) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Begin([16]byte{1}); !errors.Is(err, ErrLockedOut) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// TestWiped keeps what was deleted apart from the count, and from what is created anew.
func TestWiped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attempts.db")
	id, created := [16]byte{1}, time.Unix(1_700_000_000, 0)
	for range 2 { // and it stays
		l, err := Open(path, Policy{Tries: 3}, HostClock())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.MarkWiped(id, created), l.Reset(id)); err != nil {
			t.Fatal(err)
		}
		for want, of := range map[bool]time.Time{true: created, false: created.Add(time.Second)} {
			if got, err := l.Wiped(id, of); got != want || err != nil {
				t.Errorf("%v: %v, %v", of, got, err)
			}
		}
		if got, err := l.Wiped([16]byte{2}, created); got || err != nil {
			t.Errorf("another vault: %v, %v", got, err)
		}
		if c, err := l.Look(id); c.Wrong != 0 || err != nil {
			t.Errorf("counted %+v, %v", c, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTimeOfDayIsOfNoUse has a pause last whatever becomes of the time of day: it is
// counted by a clock that only goes on, and after a start of the host from that on.
func TestTimeOfDayIsOfNoUse(t *testing.T) {
	boot, up := "one", time.Hour
	clock := func() (string, time.Duration) { return boot, up }
	path := filepath.Join(t.TempDir(), "attempts.db")
	l, err := Open(path, Policy{Tries: 9, Delay: time.Minute, MaxDelay: time.Hour}, clock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Begin([16]byte{1}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		boot string
		up   time.Duration
		wait time.Duration
	}{
		{"one", time.Hour, time.Minute}, {"one", time.Hour - time.Second, time.Minute}, {"one", time.Hour + 59*time.Second, time.Second},
		{"two", 0, time.Minute}, {"two", 50 * time.Second, 10 * time.Second},
	} {
		boot, up = s.boot, s.up
		var out *LockedOut
		if _, err := l.Begin([16]byte{1}); !errors.As(err, &out) || out.RetryAfter != s.wait {
			t.Errorf("start %s, up %v: %v", s.boot, s.up, err)
		}
	}
	up = time.Minute
	if _, err := l.Begin([16]byte{1}); err != nil {
		t.Error(err)
	}
	here := HostClock()
	if first, second := here.moment(), here.moment(); first.up <= 0 || second.up < first.up || first.boot != second.boot {
		t.Errorf("the host's clock gives %+v, then %+v", first, second)
	}
}
