package busapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// answers is a Prompter made of functions.
type answers struct {
	passcode func(ctx context.Context, reader string, retry bool) (string, error)
	pin      func(reader string, left int64, retry bool) (string, error)
	fresh    func(ctx context.Context, change bool) (string, error)
	old      func(ctx context.Context, device string, left int64, retry bool) (string, error)
	confirm  func(ctx context.Context, summary busapi.ReprovisionResult) (bool, error)
	backups  func(ctx context.Context, q busapi.AutoBackupQuestion) (busapi.AutoBackupSettings, error)
	pairs    func(ctx context.Context, q busapi.PairingQuestion) (string, error)
	notices  chan busapi.Notice
}

func (a answers) PairingPasscode(ctx context.Context, reader string, retry bool) (string, error) {
	return a.passcode(ctx, reader, retry)
}

func (a answers) CardPIN(_ context.Context, reader string, left int64, retry bool) (string, error) {
	return a.pin(reader, left, retry)
}

func (a answers) NewPasscode(ctx context.Context, change bool) (string, error) {
	return a.fresh(ctx, change)
}

func (a answers) ConfirmReprovision(ctx context.Context, s busapi.ReprovisionResult) (bool, error) {
	return a.confirm(ctx, s)
}

func (a answers) Passcode(ctx context.Context, device string, left int64, retry bool) (string, error) {
	return a.old(ctx, device, left, retry)
}

func (a answers) AutoBackup(ctx context.Context, q busapi.AutoBackupQuestion) (busapi.AutoBackupSettings, error) {
	return a.backups(ctx, q)
}

func (a answers) Pairing(ctx context.Context, q busapi.PairingQuestion) (string, error) {
	return a.pairs(ctx, q)
}

func (a answers) Notify(n busapi.Notice) { a.notices <- n }

// says is an agent that always gives the same passcode, or the same error.
func says(code string, err error) answers {
	return answers{passcode: func(context.Context, string, bool) (string, error) { return code, err }}
}

func serveAgent(t *testing.T, c *busapi.DeviceClient, p busapi.Prompter) (stop func()) {
	t.Helper()
	stop, err := c.ServeAgent(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return stop
}

// serveOwner serves an agent that answers for the owner, too.
func serveOwner(t *testing.T, c *busapi.DeviceClient, p busapi.Prompter) (stop func()) {
	t.Helper()
	stop = serveAgent(t, c, p)
	if err := c.Appoint(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return stop
}

// pairing is a backend whose Pair asks for the passcode and reports it.
func pairing(codes chan<- string) *bustest.Device {
	backend := &bustest.Device{}
	backend.On("Pair", func(ctx context.Context, p busapi.Prompter) error {
		code, err := p.PairingPasscode(ctx, "pi", true)
		if err != nil {
			return err
		}
		codes <- code
		return nil
	})
	return backend
}

// TestAgentGivesThePIN has agents answer for the card's PIN.
func TestAgentGivesThePIN(t *testing.T) {
	bus, pins := bustest.Start(t), make(chan string, 1)
	backend := &bustest.Device{}
	backend.On("SetPasscode", func(ctx context.Context, p busapi.Prompter) error {
		pin, err := p.CardPIN(ctx, "pi", 2, true)
		if err == nil {
			pins <- pin
		}
		return err
	})
	bus.ServeDevice(t, backend)
	for name, c := range map[string]struct {
		pin  string
		err  error
		want error
	}{
		"a PIN":       {"12 34", nil, nil}, // as it is: blanks may belong to it
		"none":        {"", busapi.ErrDeclined, busapi.ErrDeclined},
		"no other":    {"", busapi.ErrWrongPIN, busapi.ErrWrongPIN},
		"a long text": {strings.Repeat("1", 100), nil, busapi.ErrInvalidArguments},
	} {
		device := dialDevice(t, bus)
		stop := serveAgent(t, device, answers{pin: func(reader string, left int64, retry bool) (string, error) {
			if reader != "pi" || left != 2 || !retry {
				t.Errorf("asked for %q, %d, %v", reader, left, retry)
			}
			return c.pin, c.err
		}})
		_, err := device.SetPasscode(t.Context(), busapi.PasscodeRequest{CardPIN: true})
		if !errors.Is(err, c.want) || err == nil && <-pins != c.pin {
			t.Errorf("%s: %v", name, err)
		}
		stop()
	}
}

const address = "00:1A:7D:DA:71:13"

func TestAgentAnswers(t *testing.T) {
	bus, codes := bustest.Start(t), make(chan string, 1)
	backend := pairing(codes)
	bus.ServeDevice(t, backend)
	c := dialDevice(t, bus)
	stop := serveAgent(t, c, answers{
		passcode: func(_ context.Context, reader string, retry bool) (string, error) {
			return fmt.Sprint(reader, retry), nil
		},
		confirm: func(_ context.Context, s busapi.ReprovisionResult) (bool, error) { return s.Planned == 3, nil },
	})
	if _, err := c.Pair(t.Context(), address); err != nil || <-codes != "pitrue" {
		t.Errorf("the passcode did not arrive: %v", err)
	}
	yes := make(chan bool, 1)
	backend.On("Reprovision", func(ctx context.Context, p busapi.Prompter) error {
		ok, err := p.ConfirmReprovision(ctx, busapi.ReprovisionResult{Planned: 3, Items: []busapi.Finding{{Path: "x"}}})
		yes <- ok
		return err
	})
	if _, err := c.Reprovision(t.Context(), busapi.ReprovisionRequest{}); err != nil || !<-yes {
		t.Errorf("the owner's word did not arrive: %v", err)
	}
	stop()
	if _, err := c.Pair(t.Context(), address); !errors.Is(err, busapi.ErrInputNeeded) {
		t.Errorf("without an agent: %v", err)
	}
}

// TestAgentSecrets carries reprovisioning passcodes to the byte, unlike those of
// pairing.
func TestAgentSecrets(t *testing.T) {
	bus, got := bustest.Start(t), make(chan string, 2)
	backend := &bustest.Device{}
	bus.ServeDevice(t, backend)
	c := dialDevice(t, bus)
	serveAgent(t, c, answers{
		fresh: func(_ context.Context, change bool) (string, error) { return fmt.Sprint(" two  words ", change), nil },
		old: func(_ context.Context, device string, left int64, retry bool) (string, error) {
			return fmt.Sprint(device, "\xff", left, retry), nil
		},
	})
	backend.On("SetPasscode", func(ctx context.Context, p busapi.Prompter) error {
		code, err := p.NewPasscode(ctx, true)
		got <- code
		return err
	})
	if r, err := c.SetPasscode(t.Context(), busapi.PasscodeRequest{Change: true}); err != nil || !r.Passcode || <-got != " two  words true" {
		t.Errorf("the new passcode did not arrive: %v", err)
	}
	backend.On("Reprovision", func(ctx context.Context, p busapi.Prompter) error {
		code, err := p.Passcode(ctx, "old phone", 3, true)
		got <- code
		return err
	})
	if _, err := c.Reprovision(t.Context(), busapi.ReprovisionRequest{}); err != nil || <-got != "old phone\xff3 true" {
		t.Errorf("the passcode did not arrive: %v", err)
	}
	if r, err := c.NewRecoveryCode(t.Context()); err != nil || r.Code == "" {
		t.Errorf("recovery code: %v", err)
	}
	if r, err := c.ClearPasscode(t.Context()); err != nil || r.Passcode {
		t.Errorf("clear: %v", err)
	}
}

// What an agent says besides an answer.
func TestAgentErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		says error
		want error
	}{
		{"canceled", busapi.ErrCanceled, busapi.ErrDeclined},
		{"declined", busapi.ErrDeclined, busapi.ErrDeclined},
		{"nobody to ask", busapi.ErrInputNeeded, busapi.ErrInputNeeded},
		{"no other passcode", busapi.ErrWrongPasscode, busapi.ErrWrongPasscode},
		{"broken", errors.New("out of paper"), busapi.ErrFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			bus := bustest.Start(t)
			bus.ServeDevice(t, pairing(make(chan string, 1)))
			client := dialDevice(t, bus)
			serveAgent(t, client, says("", fmt.Errorf("agent: %w", c.says)))
			if _, err := client.Pair(t.Context(), address); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestLongPasscodeIsRefused(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, pairing(make(chan string, 1)))
	c := dialDevice(t, bus)
	serveAgent(t, c, says(strings.Repeat("1", 65), nil))
	if _, err := c.Pair(t.Context(), address); !errors.Is(err, busapi.ErrInvalidArguments) {
		t.Errorf("got %v", err)
	}
}

// The caller's own agent is asked and no other; a caller without one gets the
// newest default agent that can answer.
func TestWhichAgentIsAsked(t *testing.T) {
	bus, codes := bustest.Start(t), make(chan string, 1)
	d, _ := bus.ServeDevice(t, pairing(codes))
	own, first, second, mute := dialDevice(t, bus), dialDevice(t, bus), dialDevice(t, bus), dialDevice(t, bus)
	serveAgent(t, own, says("own", nil))
	serveAgent(t, first, says("first", nil))
	serveAgent(t, second, says("second", nil))
	serveAgent(t, mute, says("", busapi.ErrInputNeeded))
	if _, err := own.Pair(t.Context(), address); err != nil || <-codes != "own" {
		t.Errorf("the caller's own agent was not asked: %v", err)
	}
	if _, err := mute.Pair(t.Context(), address); !errors.Is(err, busapi.ErrInputNeeded) {
		t.Errorf("another agent answered for a caller that has one: %v", err)
	}
	if _, err := dialDevice(t, bus).Pair(t.Context(), address); err != nil || <-codes != "second" {
		t.Errorf("the newest agent that can answer was not asked: %v", err)
	}
	second.Close()
	bustest.Until(t, "forgetting the agent", func() bool { return d.Agents() == 3 })
	if _, err := dialDevice(t, bus).Pair(t.Context(), address); err != nil || <-codes != "first" {
		t.Errorf("the agent before was not asked: %v", err)
	}
}

// A prompt whose call ends is canceled on the screen too.
func TestPromptEndsWithItsCall(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, pairing(make(chan string, 1)))
	asked, canceled := make(chan struct{}), make(chan error, 1)
	agent := dialDevice(t, bus)
	serveAgent(t, agent, answers{passcode: func(ctx context.Context, _ string, _ bool) (string, error) {
		close(asked)
		<-ctx.Done()
		canceled <- context.Cause(ctx)
		return "", context.Cause(ctx)
	}})
	caller := dialDevice(t, bus)
	go caller.Pair(context.Background(), address)
	bustest.Wait(t, asked, "the prompt")
	caller.Close()
	if err := bustest.Wait(t, canceled, "Cancel"); !errors.Is(err, busapi.ErrCanceled) {
		t.Errorf("the prompt ended with %v", err)
	}
}

// What the daemon asks by itself goes to default agents only. It waits for one, says so,
// and goes on with the next when one leaves in the middle.
func TestDaemonWaitsForAnAgent(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	serveAgent(t, dialDevice(t, bus), says("of a program", nil))
	done := make(chan string, 1)
	go func() {
		code, err := d.Prompter().PairingPasscode(t.Context(), "pi", false)
		done <- fmt.Sprint(code, err)
	}()
	waits := func(agent bool) func() bool {
		return func() bool {
			q := d.Questions()
			return len(q) == 1 && q[0].Kind == "pairing-passcode" && q[0].Agent == agent
		}
	}
	bustest.Until(t, "the question", waits(false))
	leaver, asked := dialDevice(t, bus), make(chan struct{})
	serveOwner(t, leaver, answers{passcode: func(ctx context.Context, _ string, _ bool) (string, error) {
		close(asked)
		<-ctx.Done()
		return "", ctx.Err()
	}})
	bustest.Wait(t, asked, "the prompt")
	bustest.Until(t, "an agent that has it", waits(true))
	leaver.Close()
	bustest.Until(t, "the question", waits(false))
	serveOwner(t, dialDevice(t, bus), says("", busapi.ErrInputNeeded))
	serveOwner(t, dialDevice(t, bus), says("123", nil))
	if got := bustest.Wait(t, done, "the answer"); got != "123<nil>" {
		t.Errorf("got %s", got)
	}
	if q := d.Questions(); len(q) != 0 {
		t.Errorf("open still: %+v", q)
	}
}

// A question that is moot is open no more, with or without an agent.
func TestMootQuestion(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	for _, agent := range []bool{false, true} {
		canceled := make(chan struct{})
		if agent {
			serveOwner(t, dialDevice(t, bus), answers{pairs: func(ctx context.Context, _ busapi.PairingQuestion) (string, error) {
				<-ctx.Done()
				close(canceled)
				return "", ctx.Err()
			}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := d.Prompter().Pairing(ctx, busapi.PairingQuestion{}); done <- err }()
		bustest.Until(t, "the question", func() bool { q := d.Questions(); return len(q) == 1 && q[0].Agent == agent })
		cancel()
		if err := bustest.Wait(t, done, "the end"); !errors.Is(err, context.Canceled) || len(d.Questions()) != 0 {
			t.Errorf("got %v, open %v", err, d.Questions())
		}
		if agent {
			bustest.Wait(t, canceled, "Cancel")
		}
	}
}

// What the questions of FIG. 5 carry, both ways.
func TestQuestionsOfFIG5(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	var settings busapi.AutoBackupSettings
	said, notices := "", make(chan busapi.Notice, 1)
	serveOwner(t, dialDevice(t, bus), answers{
		backups: func(_ context.Context, q busapi.AutoBackupQuestion) (busapi.AutoBackupSettings, error) {
			if q.Reader != "pi" || q.Every != 86400 || q.Mode != "incremental" {
				t.Errorf("asked about %+v", q)
			}
			return settings, nil
		},
		pairs: func(_ context.Context, q busapi.PairingQuestion) (string, error) {
			if q != (busapi.PairingQuestion{LastBackup: 7, Overdue: true, Retry: true, Reason: "far"}) {
				t.Errorf("asked about %+v", q)
			}
			return said, nil
		},
		notices: notices,
	})
	for _, c := range []struct {
		settings busapi.AutoBackupSettings
		want     string
		err      error
	}{
		{busapi.AutoBackupSettings{Every: 60}, "incremental", nil},
		{busapi.AutoBackupSettings{Every: 60, Mode: "full"}, "full", nil},
		{busapi.AutoBackupSettings{}, "incremental", nil},
		{busapi.AutoBackupSettings{Every: 60, Mode: "hourly"}, "", busapi.ErrInvalidArguments},
	} {
		settings = c.settings
		got, err := d.Prompter().AutoBackup(t.Context(), busapi.AutoBackupQuestion{Reader: "pi", Every: 86400, Mode: "incremental"})
		if !errors.Is(err, c.err) || err == nil && (got.Every != c.settings.Every || got.Mode != c.want) {
			t.Errorf("%+v: got %+v, %v", c.settings, got, err)
		}
	}
	for said = range map[string]bool{"001a7dda7113 ": true, "rubbish": false} {
		got, err := d.Prompter().Pairing(t.Context(), busapi.PairingQuestion{LastBackup: 7, Overdue: true, Retry: true, Reason: "far"})
		if said == "rubbish" && !errors.Is(err, busapi.ErrInvalidArguments) || said != "rubbish" && got != address {
			t.Errorf("%q: got %q, %v", said, got, err)
		}
	}
	want := busapi.Notice{Kind: "overdue", Level: busapi.NoticeWarning, Text: "The backup is overdue."}
	serveAgent(t, dialDevice(t, bus), answers{}) // would panic: it does not answer for the owner
	d.Notify(want)
	if got := bustest.Wait(t, notices, "the notice"); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestOwnerWhoDoesNotAnswer(t *testing.T) {
	bus, canceled := bustest.Start(t), make(chan struct{})
	d, _ := bus.ServeDevice(t, &bustest.Device{}, func(d *busapi.Device) { d.SetPromptTime(20 * time.Millisecond) })
	serveOwner(t, dialDevice(t, bus), answers{confirm: func(ctx context.Context, _ busapi.ReprovisionResult) (bool, error) {
		<-ctx.Done()
		close(canceled)
		return true, nil
	}})
	yes, err := d.Prompter().ConfirmReprovision(t.Context(), busapi.ReprovisionResult{})
	if yes || !errors.Is(err, busapi.ErrNoAgent) || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("got %v, %v", yes, err)
	}
	bustest.Wait(t, canceled, "Cancel")
}

// One agent gets one question at a time.
func TestOneQuestionAtATime(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	busy := make(chan struct{}, 1)
	serveOwner(t, dialDevice(t, bus), answers{passcode: func(context.Context, string, bool) (string, error) {
		select {
		case busy <- struct{}{}:
		default:
			return "", errors.New("asked twice at once")
		}
		time.Sleep(time.Millisecond)
		<-busy
		return "1", nil
	}})
	done := make(chan error, 8)
	for range cap(done) {
		go func() { _, err := d.Prompter().PairingPasscode(t.Context(), "pi", false); done <- err }()
	}
	for range cap(done) {
		if err := bustest.Wait(t, done, "an answer"); err != nil {
			t.Error(err)
		}
	}
}

// A stranger cannot ask the owner for a passcode through the agent.
func TestAgentAnswersTheDaemonOnly(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{})
	c := dialDevice(t, bus)
	serveAgent(t, c, says("123456", nil))
	object := bus.Connect(t).Object(c.Conn().Names()[0], busapi.AgentPath)
	for method, args := range map[string][]any{
		"RequestPairingPasscode": {busapi.Dict{}}, "RequestCardPin": {busapi.Dict{}}, "ConfirmReprovision": {busapi.Dict{}}, "Cancel": nil, "Release": nil,
		"RequestNewPasscode": {busapi.Dict{}}, "RequestPasscode": {busapi.Dict{}}, "RequestAutoBackup": {busapi.Dict{}},
		"RequestPairing": {busapi.Dict{}}, "Notify": {busapi.Dict{}},
	} {
		err := object.Call("org.reprovision.Agent1."+method, 0, args...).Err
		if !errors.Is(busapi.FromBusError(err), busapi.ErrNotAllowed) {
			t.Errorf("%s gave %v", method, err)
		}
	}
}

// Release comes when the daemon stops.
func TestRelease(t *testing.T) {
	bus, released := bustest.Start(t), make(chan struct{})
	_, stop := bus.ServeDevice(t, &bustest.Device{})
	conn := bus.Connect(t)
	table := map[string]any{"Release": func() *dbus.Error { close(released); return nil }}
	if err := conn.ExportMethodTable(table, "/agent", "org.reprovision.Agent1"); err != nil {
		t.Fatal(err)
	}
	device := conn.Object(busapi.DeviceName, busapi.DevicePath)
	if err := device.Call("org.reprovision.Device1.RegisterAgent", 0, dbus.ObjectPath("/agent")).Err; err != nil {
		t.Fatal(err)
	}
	stop()
	bustest.Wait(t, released, "Release")
}

// One user's agents do not keep those of others away.
func TestTooManyAgents(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{})
	first := dialDevice(t, bus)
	for i := range busapi.MaxUserAgents {
		c := first
		if i > 0 {
			c = dialDevice(t, bus)
		}
		serveAgent(t, c, says("", nil))
	}
	if _, err := dialDevice(t, bus).ServeAgent(t.Context(), says("", nil)); !errors.Is(err, busapi.ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	serveAgent(t, first, says("", nil)) // in place of its own
	first.Close()
	bustest.Until(t, "forgetting the agent", func() bool { return d.Agents() == busapi.MaxUserAgents-1 })
	serveAgent(t, dialDevice(t, bus), says("", nil))
}
