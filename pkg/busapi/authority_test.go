package busapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// The test binary runs again as another user, and then makes these calls.
const childCalls = "BUSAPI_TEST_CALLS"

func TestMain(m *testing.M) {
	if methods := os.Getenv(childCalls); methods != "" {
		for _, method := range strings.Fields(methods) {
			fmt.Println(method, outcome(method))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// outcome makes one call and tells what came of it.
func outcome(method string) string { return said(makeCall(context.Background(), method)) }

// said is "done", or the name of an error.
func said(err error) string {
	if err != nil {
		return busapi.ErrorName(err)
	}
	return "done"
}

func makeCall(ctx context.Context, method string) (err error) {
	if name, ok := strings.CutPrefix(method, "Reader."); ok {
		return makeReaderCall(ctx, name)
	}
	c, err := busapi.DialDevice(ctx, os.Getenv, false)
	if err != nil {
		return err
	}
	defer c.Close()
	switch method {
	case "Status":
		_, err = c.Status(ctx)
	case "Pair":
		_, err = c.Pair(ctx, address)
	case "Unpair":
		_, err = c.Unpair(ctx)
	case "Backup":
		_, err = c.Backup(ctx, false)
	case "Snapshots":
		_, err = c.Snapshots(ctx)
	case "SnapshotItems":
		_, err = c.SnapshotItems(ctx, "s")
	case "SnapshotDiff":
		_, err = c.SnapshotDiff(ctx, "s", "t")
	case "Verify":
		_, err = c.Verify(ctx, 0)
	case "Check":
		_, err = c.Check(ctx, false)
	case "Reprovision":
		_, err = c.Reprovision(ctx, busapi.ReprovisionRequest{})
	case "Forget":
		_, err = c.Forget(ctx, []string{"keys"})
	case "AutoBackup":
		_, err = c.AutoBackup(ctx)
	case "ConfigureAutoBackup":
		_, err = c.ConfigureAutoBackup(ctx, busapi.AutoBackupSettings{Every: 5})
	case "DisableAutoBackup":
		_, err = c.DisableAutoBackup(ctx)
	case "Authorization":
		_, err = c.Authorization(ctx)
	case "OverrideAuthorization":
		_, err = c.OverrideAuthorization(ctx, busapi.AuthorizationOverride{Seconds: 5})
	case "ResumeAuthorization":
		_, err = c.ResumeAuthorization(ctx)
	case "SetPasscode":
		_, err = c.SetPasscode(ctx, busapi.PasscodeRequest{})
	case "ClearPasscode":
		_, err = c.ClearPasscode(ctx)
	case "NewRecoveryCode":
		_, err = c.NewRecoveryCode(ctx)
	case "Subscribe":
		err = c.Conn().Object(busapi.DeviceName, busapi.DevicePath).Call("org.reprovision.Device1.Subscribe", 0).Err
		err = busapi.FromBusError(err)
	case "Odd": // something that the device's policy says nothing about
		err = c.Conn().Object(busapi.DeviceName, busapi.DevicePath).Call("org.example.Odd", 0).Err
		err = busapi.FromBusError(err)
	case "DefaultAgent":
		if _, err = c.ServeAgent(ctx, says("", nil)); err == nil {
			err = c.Appoint(ctx, false)
		}
	case "Agent":
		err = beAgent(ctx)
	case "Own":
		err = own(c.Conn(), "org.reprovision.Reader")
	}
	return err
}

func own(conn *dbus.Conn, name string) error {
	_, err := conn.RequestName(name, dbus.NameFlagDoNotQueue)
	return busapi.FromBusError(err)
}

func makeReaderCall(ctx context.Context, method string) error {
	c, err := busapi.DialReader(ctx, os.Getenv, false)
	if err != nil {
		return err
	}
	defer c.Close()
	switch method {
	case "Status":
		_, err = c.Status(ctx)
	case "Press":
		_, err = c.Press(ctx)
	case "Display":
		_, err = c.Display(ctx)
	case "Devices":
		_, err = c.Devices(ctx)
	case "Forget":
		err = c.Forget(ctx, "aa")
	case "CardStatus":
		_, err = c.CardStatus(ctx)
	case "CardInit":
		_, err = c.CardInit(ctx, busapi.CardChoice{})
	case "CardVerify":
		_, err = c.CardVerify(ctx)
	default:
		err = makePINCall(ctx, c, method)
	}
	return err
}

func makePINCall(ctx context.Context, c *busapi.ReaderClient, method string) (err error) {
	switch method {
	case "CardPIN":
		_, err = c.CardPIN(ctx)
	case "CardSetPIN":
		_, err = c.CardSetPIN(ctx, busapi.PINCodes{})
	case "CardChangePIN":
		_, err = c.CardChangePIN(ctx, busapi.PINCodes{})
	case "CardClearPIN":
		_, err = c.CardClearPIN(ctx, busapi.PINCodes{})
	}
	return err
}

const stranger = 65534 // nobody

// asStranger makes calls as another user and gives the outcome of each.
func asStranger(t *testing.T, bus *bustest.Bus, methods ...string) map[string]string {
	t.Helper()
	out, err := strangerCommand(t, bus, methods...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	outcomes := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		method, said, _ := strings.Cut(strings.TrimSpace(line), " ")
		outcomes[method] = said
	}
	if len(outcomes) != len(methods) {
		t.Fatalf("%d calls gave %q", len(methods), out)
	}
	return outcomes
}

// strangerCommand makes calls as another user.
func strangerCommand(t *testing.T, bus *bustest.Bus, methods ...string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can play another user")
	}
	program := filepath.Join(bus.Dir, "child")
	copyProgram(t, program)
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = []string{childCalls + "=" + strings.Join(methods, " "), "DBUS_SYSTEM_BUS_ADDRESS=" + bus.Address}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	return cmd
}

// copyProgram puts the running test where every user can run it.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(file, from); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Chmod(0o755), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// guarded maps each call that needs a right to its action.
func guarded() map[string]string {
	return map[string]string{
		"Pair": "device.pair", "Unpair": "device.pair", "Backup": "device.backup", "Snapshots": "device.read",
		"SnapshotItems": "device.read", "SnapshotDiff": "device.read", "Verify": "device.read", "Check": "device.read", "Reprovision": "device.reprovision",
		"Forget": "device.forget", "Subscribe": "device.read", "DefaultAgent": "device.agent",
		"ConfigureAutoBackup": "device.schedule", "DisableAutoBackup": "device.schedule",
		"SetPasscode": "device.passcode", "ClearPasscode": "device.passcode", "NewRecoveryCode": "device.passcode",
		"OverrideAuthorization": "device.authorization", "ResumeAuthorization": "device.authorization",
		"Reader.Press": "reader.press", "Reader.Display": "reader.display", "Reader.Forget": "reader.forget",
		"Reader.CardInit": "reader.card", "Reader.CardVerify": "reader.card", "Reader.CardPIN": "reader.pin",
		"Reader.CardSetPIN": "reader.pin", "Reader.CardChangePIN": "reader.pin", "Reader.CardClearPIN": "reader.pin",
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	bus := bustest.Start(t)
	device, reader := &bustest.Device{}, &bustest.Reader{}
	bus.ServeDevice(t, device)
	bus.ServeReader(t, reader)
	free := []string{"Status", "AutoBackup", "Authorization", "Reader.Status", "Reader.Devices", "Reader.CardStatus"}
	for method, got := range asStranger(t, bus, append(free, slices.Collect(maps.Keys(guarded()))...)...) {
		want := "NotAllowed"
		if slices.Contains(free, method) {
			want = "done"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
	if calls := device.Calls(); !slices.Equal(calls, []string{"AutoBackup", "Authorization"}) {
		t.Errorf("the device was called: %v", calls)
	}
	for _, c := range reader.Calls() {
		if c != "Devices" && c != "CardStatus" {
			t.Errorf("the reader was called: %s", c)
		}
	}
}

// polkit plays the service: it allows one action, and writes down questions.
type polkit struct {
	allowed   string
	questions chan string
}

func (p *polkit) CheckAuthorization(subject struct {
	Kind    string
	Details map[string]dbus.Variant
}, action string, _ map[string]string, flags uint32, cancel string) (struct {
	Authorized, Challenge bool
	Details               map[string]string
}, *dbus.Error) {
	p.questions <- fmt.Sprintf("%s %v %s %d", subject.Kind, len(subject.Details), action, flags)
	var out struct {
		Authorized, Challenge bool
		Details               map[string]string
	}
	out.Authorized = action == p.allowed
	return out, nil
}

func startPolkit(t *testing.T, conn *dbus.Conn, allowed string) *polkit {
	t.Helper()
	p := &polkit{allowed: "org.reprovision." + allowed, questions: make(chan string, 1000)}
	const path = "/org/freedesktop/PolicyKit1/Authority"
	if err := conn.Export(p, path, "org.freedesktop.PolicyKit1.Authority"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.PolicyKit1", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolkitDecides(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{})
	bus.ServeReader(t, &bustest.Reader{})
	p := startPolkit(t, bus.Connect(t), "device.backup")
	methods := slices.Sorted(maps.Keys(guarded()))
	outcomes := asStranger(t, bus, methods...)
	for _, method := range methods {
		action, want := guarded()[method], "NotAllowed"
		if action == "device.backup" {
			want = "done"
		}
		if got := outcomes[method]; got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
		if q := bustest.Wait(t, p.questions, "the question"); q != "system-bus-name 1 org.reprovision."+action+" 1" {
			t.Errorf("%s: polkit was asked %q", method, q)
		}
	}
}

// Where the bus lets a caller take polkit's name, it is still not its own judge.
// Every user of this process is the same, so the caller owns polkit's name here.
func TestCallerIsNotItsOwnJudge(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root is always allowed")
	}
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{}, func(d *busapi.Device) { d.SetUID(uint32(os.Getuid()) + 1) })
	p := startPolkit(t, bus.Connect(t), "device.backup")
	if _, err := dialDevice(t, bus).Backup(t.Context(), false); !errors.Is(err, busapi.ErrNotAllowed) || len(p.questions) != 0 {
		t.Errorf("got %v after %d questions", err, len(p.questions))
	}
}

// The same without root: the daemon's user is another.
func TestAnotherUserIsRefusedWithoutRoot(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root is always allowed")
	}
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{}, func(d *busapi.Device) { d.SetUID(uint32(os.Getuid()) + 1) })
	c := dialDevice(t, bus)
	if _, err := c.Backup(t.Context(), false); !errors.Is(err, busapi.ErrNotAllowed) {
		t.Errorf("Backup gave %v", err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("Status gave %v", err)
	}
}

// TestHostileAgent has an agent of another user answer neither for the owner nor for
// another user's program, unless polkit says that it may answer for the owner.
func TestHostileAgent(t *testing.T) {
	for _, c := range []struct{ allowed, say, code string }{
		{"device.reprovision", "NotAllowed", ""},
		{"device.agent", "done", "stolen"},
	} {
		bus, codes := bustest.Start(t), make(chan string, 1)
		d, _ := bus.ServeDevice(t, pairing(codes))
		p := startPolkit(t, bus.Connect(t), c.allowed)
		outcomes, stop := strangerAgent(t, bus)
		if outcomes["RegisterAgent"] != "done" || outcomes["RequestDefaultAgent"] != c.say {
			t.Errorf("polkit allows %s: %v", c.allowed, outcomes)
		}
		if q := bustest.Wait(t, p.questions, "the question"); q != "system-bus-name 1 org.reprovision.device.agent 0" {
			t.Errorf("polkit was asked %q", q)
		}
		_, err := dialDevice(t, bus).Pair(t.Context(), address)
		if c.code == "" && !errors.Is(err, busapi.ErrInputNeeded) || c.code != "" && <-codes != c.code {
			t.Errorf("polkit allows %s: the other user's agent answered: %v", c.allowed, err)
		}
		if d.Agents() != 1 {
			t.Errorf("%d agents", d.Agents())
		}
		stop()
		bustest.Until(t, "forgetting the agent", func() bool { return d.Agents() == 0 })
	}
}

// strangerAgent serves an agent as another user until stop, and tells what came of its
// registration.
func strangerAgent(t *testing.T, bus *bustest.Bus) (outcomes map[string]string, stop func()) {
	t.Helper()
	cmd := strangerCommand(t, bus, "Agent")
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	outcomes = make(map[string]string)
	for lines := bufio.NewScanner(out); len(outcomes) < 2 && lines.Scan(); {
		method, said, _ := strings.Cut(lines.Text(), " ")
		outcomes[method] = said
	}
	stop = sync.OnceFunc(func() { hold.Close(); cmd.Wait() })
	t.Cleanup(stop)
	return outcomes, stop
}

// beAgent is the other user's side of strangerAgent. It ends with its input.
func beAgent(ctx context.Context) error {
	c, err := busapi.DialDevice(ctx, os.Getenv, false)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.ServeAgent(ctx, says("stolen", nil))
	fmt.Println("RegisterAgent", said(err))
	fmt.Println("RequestDefaultAgent", said(c.Appoint(ctx, true)))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// The same without root: the daemon's user is another.
func TestUntrustedAgent(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root is always allowed")
	}
	bus := bustest.Start(t)
	bus.ServeDevice(t, pairing(make(chan string, 1)), func(d *busapi.Device) { d.SetUID(uint32(os.Getuid()) + 1) })
	c := dialDevice(t, bus)
	serveAgent(t, c, says("1", nil))
	if err := c.Appoint(t.Context(), true); !errors.Is(err, busapi.ErrNotAllowed) {
		t.Errorf("an untrusted agent answers for the owner: %v", err)
	}
}
