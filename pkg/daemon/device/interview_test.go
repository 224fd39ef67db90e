package device

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// runDaemon runs reprovisiond on a bus, with nothing to keep and no reader anywhere.
func runDaemon(t *testing.T, more string) *bustest.Bus {
	t.Helper()
	bus, dir := bustest.Start(t), t.TempDir()
	root := filepath.Join(dir, "data")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("name = \"phone\"\nstate_dir = %q\n[link]\nkind = \"local\"\npath = %q\n%s\n[[root]]\nclass = \"keys\"\npath = %q\n",
		filepath.Join(dir, "state"), filepath.Join(dir, "none.sock"), more, root)
	settings := filepath.Join(dir, "settings.toml")
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	var log strings.Builder
	go func() { ended <- Main(ctx, []string{"-config", settings}, &log, bus.Env) }()
	t.Cleanup(func() {
		cancel()
		if code := bustest.Wait(t, ended, "the daemon's end"); code != 0 {
			t.Errorf("the daemon ended with %d: %s", code, log.String())
		}
	})
	conn := bus.Connect(t)
	bustest.Until(t, "the daemon's name", func() bool {
		return conn.BusObject().Call("org.freedesktop.DBus.GetNameOwner", 0, busapi.DeviceName).Err == nil
	})
	return bus
}

// person answers for the owner what the tests ask about.
type person struct {
	busapi.Prompter // nil: asks about anything else end the test
	pair            func(q busapi.PairingQuestion) (string, error)
}

func (p person) Pairing(_ context.Context, q busapi.PairingQuestion) (string, error) {
	return p.pair(q)
}

func status(t *testing.T, bus *bustest.Bus) busapi.DeviceStatus {
	t.Helper()
	c, err := busapi.DialDevice(t.Context(), bus.Env, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestPairingForABackup is step 522: without an agent the question waits. With one the
// owner has three tries to pair, and hears why one failed.
func TestPairingForABackup(t *testing.T) {
	bus := runDaemon(t, "[backup]\nevery = \"1s\"")
	bustest.Until(t, "the question", func() bool {
		q := status(t, bus).Questions
		return len(q) == 1 && q[0].Kind == busapi.QuestionPairing && !q[0].Agent
	})
	asked := make(chan busapi.PairingQuestion, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended, standing := make(chan error, 1), make(chan busapi.Standing, 10)
	p := person{pair: func(q busapi.PairingQuestion) (string, error) {
		asked <- q
		if len(asked) == 2 {
			return "no address", nil
		}
		return "00:1A:7D:DA:71:13", nil
	}}
	go func() {
		ended <- busapi.KeepAgent(ctx, bus.Env, p, busapi.AgentOptions{Quiet: true, Standing: func(s busapi.Standing) { standing <- s }})
	}()
	if s := bustest.Wait(t, standing, "the standing"); s != busapi.StandingOwner {
		t.Fatalf("the agent stands %q", s)
	}
	bustest.Until(t, "the end of the questions", func() bool { return len(asked) == 3 && len(status(t, bus).Questions) == 0 })
	for i, reason := range []string{"", "out of range", "invalid arguments"} {
		if q := <-asked; q.Retry != (i > 0) || !strings.Contains(q.Reason, reason) || q.LastBackup != 0 {
			t.Errorf("question %d: %+v", i, q)
		}
	}
	cancel()
	if err := bustest.Wait(t, ended, "the end"); err != nil {
		t.Error(err)
	}
	if st := status(t, bus); st.AutoBackup.Prompt != promptPair {
		t.Errorf("not asked for any more: %+v", st.AutoBackup)
	}
}

// TestAgentComesLater is that who was not there is asked when another agent comes,
// while "not now" holds.
func TestAgentComesLater(t *testing.T) {
	bus := runDaemon(t, "[backup]\nevery = \"1s\"")
	asked := make(chan int, 10)
	for i, answer := range []error{busapi.ErrInputNeeded, busapi.ErrDeclined, nil} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		standing := make(chan busapi.Standing, 10)
		p := person{pair: func(busapi.PairingQuestion) (string, error) { asked <- i; return "", answer }}
		go func() {
			_ = busapi.KeepAgent(ctx, bus.Env, p, busapi.AgentOptions{Quiet: true, Standing: func(s busapi.Standing) { standing <- s }})
		}()
		bustest.Wait(t, standing, "the standing")
		if i < 2 {
			bustest.Until(t, "the question", func() bool { return len(asked) > i })
		}
	}
	bustest.Until(t, "the end of the questions", func() bool { return len(status(t, bus).Questions) == 0 })
	close(asked)
	for i := range asked {
		if i == 2 {
			t.Error("asked again after \"not now\"")
		}
	}
}

// TestQuestionAboutDamage is what makes one moot, and what makes it another.
func TestQuestionAboutDamage(t *testing.T) {
	f := newFindings()
	one, two := detect.Finding{Name: "keys/a", Verdict: detect.Erased}, detect.Finding{Name: "keys/b", Verdict: detect.Erased}
	f.told[one.Name] = one.Verdict
	left, changes := f.still([]detect.Finding{one, two})
	if len(left) != 1 || left[0].Name != one.Name {
		t.Errorf("damaged still: %v", left)
	}
	f.mended(map[userdata.Name]bool{one.Name: true})
	bustest.Wait(t, changes, "the change")
	if left, _ := f.still([]detect.Finding{one, two}); len(left) != 0 {
		t.Errorf("damaged still: %v", left)
	}
	if all := []detect.Finding{one}; !covers(all, all) || covers(all, []detect.Finding{one, two}) {
		t.Error("what is asked about already, and what is not, are mixed up")
	}
}
