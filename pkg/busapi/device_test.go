package busapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func dialDevice(t *testing.T, bus *bustest.Bus) *busapi.DeviceClient {
	t.Helper()
	c, err := busapi.DialDevice(t.Context(), bus.Env, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// same fails the test unless a call gave the value and no error.
func same[T any](t *testing.T, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func deviceValues() bustest.DeviceValues {
	one := []busapi.Finding{{Path: "/home/x/.ssh/id\xff", Class: "keys", Verdict: "erased", Reason: "gone"}}
	card := busapi.CardInfo{State: "ok", Profile: "file", Identity: "ab", Capacity: 9, Used: 3, Generation: 4, Classes: []string{"service-books", "keys"}, Others: []busapi.OtherCard{}}
	reader := busapi.PeerInfo{ID: "00ff", Name: "pi", Address: "00:1A:7D:DA:71:13", Paired: 7, InRange: true}
	return bustest.DeviceValues{
		State: busapi.DeviceStatus{Name: "phone", Paired: true, Reader: &reader, InRange: true, Activity: "idle",
			LastBackup: 5, Counts: map[string]int64{"intact": 3}, Watch: "off", Card: &card,
			Questions: []busapi.QuestionInfo{{Kind: "pairing", Waited: 7}}},
		Peer: reader,
		Told: true,
		Saved: busapi.BackupResult{Snapshot: "s1", Mode: "full", Changed: true, Items: 3, ItemsSent: 3, BytesSent: 4,
			BytesReceived: 5, Held: []string{}, Skipped: []string{"/x: denied"}, Card: card},
		List:  []busapi.SnapshotInfo{{ID: "s-1", Seq: 1, Created: 5, Mode: "full", Items: 3, Bytes: 10, Stored: 6}},
		Items: []busapi.ItemInfo{{Path: "/a", Class: "keys", Type: "file", Mode: "0600", Size: 3, ModTime: 9, SHA256: "00"}},
		Found: busapi.CheckResult{Items: one, Counts: map[string]int64{"erased": 1, "intact": 2}},
		Result: busapi.ReprovisionResult{Snapshot: "s1", Planned: 1, Restored: 1, Verified: 1, Failed: []busapi.Finding{},
			Kept: []busapi.Finding{}, Items: one, Hooks: []string{}, Quarantine: "/q", BytesReceived: 9, Seconds: 0.5},
		Count: 2,
		Diff:  []busapi.ItemChange{{Path: "/a", Class: "keys", Type: "file", Change: "changed", Size: 3, Was: 2}},
		Drill: busapi.VerifyResult{Time: 9, Snapshot: "s1", Blobs: 2, Of: 3, Items: 4, Bytes: 77, Failed: []string{"x"}},
		Auto: busapi.AutoBackupInfo{State: "on", By: "owner", Every: 86400, Mode: "full", NextDue: 9, OverdueSince: 8, LastRun: 7,
			LastResult: "away", LastReason: "the reader is out of range", Prompt: "reader"},
		Rights: busapi.AuthorizationInfo{State: "expiring", Reason: "card-out", Since: 4, Expires: 6, LastProof: 3, Override: 2, Heartbeat: 10,
			Grace: 30, Functions: []busapi.FunctionInfo{{Function: "units", State: "failed", Reason: "card-out", Expires: 6, Error: "no"}}},
	}
}

// onBus is a finding as a client sees it: bytes that are no UTF-8 are escaped.
func onBus(list []busapi.Finding) []busapi.Finding {
	out := append([]busapi.Finding{}, list...)
	for i := range out {
		out[i].Path = strings.ReplaceAll(out[i].Path, "\xff", "\uEFFF")
	}
	return out
}

func TestDeviceMethods(t *testing.T) {
	bus, v := bustest.Start(t), deviceValues()
	backend := &bustest.Device{DeviceValues: v}
	bus.ServeDevice(t, backend)
	c, ctx := dialDevice(t, bus), t.Context()
	found, result := v.Found, v.Result
	found.Items, result.Items = onBus(found.Items), onBus(result.Items)

	same(t, v.State)(c.Status(ctx))
	same(t, v.Peer)(c.Pair(ctx, "001a7dda7113"))
	same(t, true)(c.Unpair(ctx))
	same(t, v.Saved)(c.Backup(ctx, true))
	same(t, v.List)(c.Snapshots(ctx))
	same(t, v.Items)(c.SnapshotItems(ctx, "s-1"))
	same(t, v.Diff)(c.SnapshotDiff(ctx, "s-1", "s-2"))
	same(t, v.Drill)(c.Verify(ctx, 5))
	same(t, found)(c.Check(ctx, true))
	request := busapi.ReprovisionRequest{Classes: []string{"keys"}, Paths: []string{found.Items[0].Path}, Snapshot: "s1", Yes: true}
	same(t, result)(c.Reprovision(ctx, request))
	same(t, int64(2))(c.Forget(ctx, []string{"/a\xff", "keys/b"}))
	same(t, v.Auto)(c.AutoBackup(ctx))
	same(t, v.Auto)(c.ConfigureAutoBackup(ctx, busapi.AutoBackupSettings{Every: 5}))
	same(t, v.Auto)(c.DisableAutoBackup(ctx))
	if _, err := c.ConfigureAutoBackup(ctx, busapi.AutoBackupSettings{Every: 5, Mode: "some"}); !errors.Is(err, busapi.ErrInvalidArguments) {
		t.Errorf("a mode that is none: %v", err)
	}

	same(t, v.Rights)(c.Authorization(ctx))
	same(t, v.Rights)(c.OverrideAuthorization(ctx, busapi.AuthorizationOverride{Seconds: 60}))
	same(t, v.Rights)(c.ResumeAuthorization(ctx))

	want := []string{
		"Pair 00:1A:7D:DA:71:13", "Unpair", "Backup true", "Snapshots", "SnapshotItems s-1", "SnapshotItems s-1",
		"SnapshotDiff s-1 s-2", "SnapshotDiff s-1 s-2", "Verify 5", "Check true",
		"Reprovision {Classes:[keys] Paths:[/home/x/.ssh/id\xff] Snapshot:s1 From: DryRun:false Yes:true}",
		`Forget ["/a\xff" "keys/b"]`,
		"AutoBackup", "ConfigureAutoBackup {Every:5 Mode:incremental}", "DisableAutoBackup",
		"Authorization", "OverrideAuthorization {Seconds:60}", "ResumeAuthorization",
	}
	if diff := cmp.Diff(want, backend.Calls()); diff != "" {
		t.Error(diff)
	}
}

// More items than one message holds come in pages.
func TestManySnapshotItems(t *testing.T) {
	bus := bustest.Start(t)
	backend := &bustest.Device{}
	backend.Items = make([]busapi.ItemInfo, 2500)
	for i := range backend.Items {
		backend.Items[i].Path = fmt.Sprintf("/%05d/%s", i, strings.Repeat("x", 8000))
	}
	bus.ServeDevice(t, backend)
	same(t, backend.Items)(dialDevice(t, bus).SnapshotItems(t.Context(), "s"))
	if n := len(backend.Calls()); n < 3 {
		t.Errorf("%d calls brought %d items", n, len(backend.Items))
	}
}

func TestEveryErrorComesBack(t *testing.T) {
	bus, backend := bustest.Start(t), &bustest.Device{}
	bus.ServeDevice(t, backend)
	c := dialDevice(t, bus)
	for _, sentinel := range []error{
		busapi.ErrFailed, busapi.ErrInvalidArguments, busapi.ErrNotPaired, busapi.ErrNoLink, busapi.ErrOutOfRange, busapi.ErrWrongPasscode,
		busapi.ErrLockedOut, busapi.ErrNoData, busapi.ErrPartial, busapi.ErrCard, busapi.ErrDeclined, busapi.ErrNotAllowed,
		busapi.ErrInputNeeded, busapi.ErrPairingClosed, busapi.ErrBusy, busapi.ErrCanceled,
	} {
		backend.Fail("Backup", fmt.Errorf("cannot save \x1b[31m/x\xff: %w", sentinel))
		_, err := c.Backup(t.Context(), false)
		var remote *busapi.RemoteError
		if !errors.Is(err, sentinel) || !errors.As(err, &remote) {
			t.Errorf("%v came back as %v", sentinel, err)
			continue
		}
		if remote.Name != "org.reprovision.Error."+busapi.ErrorName(sentinel) {
			t.Errorf("%v is called %s", sentinel, remote.Name)
		}
		if want := `cannot save \x1b[31m/x\xff: ` + sentinel.Error(); err.Error() != want {
			t.Errorf("the message is %q, want %q", err, want)
		}
	}
	backend.Fail("Backup", errors.New("of no kind"))
	if _, err := c.Backup(t.Context(), false); !errors.Is(err, busapi.ErrFailed) {
		t.Errorf("an error of no kind came back as %v", err)
	}
}

func TestErrorsOfTheBusItself(t *testing.T) {
	for name, want := range map[string]error{
		"org.freedesktop.DBus.Error.ServiceUnknown": busapi.ErrNotRunning,
		"org.freedesktop.DBus.Error.NoReply":        busapi.ErrNotRunning,
		"org.freedesktop.DBus.Error.AccessDenied":   busapi.ErrNotAllowed,
		"org.freedesktop.DBus.Error.InvalidArgs":    busapi.ErrInvalidArguments,
		"org.freedesktop.DBus.Error.LimitsExceeded": busapi.ErrBusy,
		"org.reprovision.Error.FromTheFuture":       busapi.ErrFailed,
		"com.example.Odd":                           busapi.ErrFailed,
	} {
		if err := busapi.FromBusError(dbus.Error{Name: name}); !errors.Is(err, want) || err.Error() != name {
			t.Errorf("%s became %v", name, err)
		}
		if err := busapi.FromBusError(dbus.NewError(name, []any{"why"})); !errors.Is(err, want) || err.Error() != "why" {
			t.Errorf("*%s became %v", name, err)
		}
	}
	if busapi.FromBusError(nil) != nil || busapi.ToBusError(nil) != nil {
		t.Error("no error became one")
	}
	if err := busapi.FromBusError(dbus.ErrClosed); !errors.Is(err, busapi.ErrNotRunning) {
		t.Errorf("a closed connection became %v", err)
	}
	if e := busapi.ToBusError(fmt.Errorf("x: %w", busapi.ErrNoAgent)); e.Name != "org.reprovision.Error.InputNeeded" {
		t.Errorf("ErrNoAgent travels as %s", e.Name)
	}
	long := busapi.ToBusError(errors.New(strings.Repeat("é", 5000)))
	if text, _ := long.Body[0].(string); len(text) > 2048 {
		t.Errorf("a message of %d bytes", len(text))
	}
}

// Arguments that a well-behaved client does not send.
func TestBadArguments(t *testing.T) {
	bus, backend := bustest.Start(t), &bustest.Device{}
	bus.ServeDevice(t, backend)
	object := bus.Connect(t).Object(busapi.DeviceName, busapi.DevicePath)
	odd := busapi.Dict{"odd": dbus.MakeVariant(true)}
	long := strings.Repeat("x", busapi.MaxText+1)
	for _, c := range []struct {
		method string
		args   []any
	}{
		{"Pair", []any{"here", busapi.Dict{}}},
		{"Pair", []any{"00:1A:7D:DA:71:13", odd}},
		{"Backup", []any{odd}},
		{"Backup", []any{busapi.Dict{"full": dbus.MakeVariant("yes")}}},
		{"Check", []any{odd}},
		{"Reprovision", []any{odd}},
		{"SnapshotItems", []any{"", busapi.Dict{}}},
		{"SnapshotItems", []any{long, busapi.Dict{}}},
		{"SnapshotItems", []any{"s", busapi.Dict{"offset": dbus.MakeVariant(int64(-1))}}},
		{"Forget", []any{[]string{}}},
		{"Forget", []any{[]string{"a", ""}}},
		{"Forget", []any{[]string{long}}},
		{"Forget", []any{make([]string, busapi.MaxList+1)}},
		{"Forget", []any{"a"}},
		{"Status", []any{"too much"}},
		{"Nothing", nil},
		{"UnregisterAgent", []any{dbus.ObjectPath("/none")}},
	} {
		err := busapi.FromBusError(object.Call("org.reprovision.Device1."+c.method, 0, c.args...).Err)
		if !errors.Is(err, busapi.ErrInvalidArguments) {
			t.Errorf("%s(%.60v) gave %v", c.method, c.args, err)
		}
	}
	for _, call := range backend.Calls() {
		if !strings.HasPrefix(call, "SnapshotItems s") { // the offset is checked after the list is there
			t.Errorf("the backend got %q", call)
		}
	}
}

func TestCallerThatLeavesEndsItsCall(t *testing.T) {
	bus, backend := bustest.Start(t), &bustest.Device{}
	started, ended := make(chan struct{}), make(chan error, 1)
	backend.On("Backup", func(ctx context.Context, _ busapi.Prompter) error {
		close(started)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	})
	d, _ := bus.ServeDevice(t, backend)
	c := dialDevice(t, bus)
	go c.Backup(context.Background(), false)
	bustest.Wait(t, started, "the backup")
	c.Close()
	if err := bustest.Wait(t, ended, "the end of the backup"); err == nil || err.Error() != "the caller left the bus" {
		t.Errorf("the backup ended with %v", err)
	}
	bustest.Until(t, "the end of the call", func() bool { return d.Running() == 0 })
}

func TestDaemonThatStopsEndsItsCalls(t *testing.T) {
	bus, backend := bustest.Start(t), &bustest.Device{}
	started := make(chan struct{})
	backend.On("Backup", func(ctx context.Context, _ busapi.Prompter) error {
		close(started)
		<-ctx.Done()
		return fmt.Errorf("cannot go on: %w", busapi.ErrPartial)
	})
	_, stop := bus.ServeDevice(t, backend)
	c := dialDevice(t, bus)
	answer := make(chan error, 1)
	go func() { _, err := c.Backup(context.Background(), false); answer <- err }()
	bustest.Wait(t, started, "the backup")
	stop()
	if err := bustest.Wait(t, answer, "the answer"); !errors.Is(err, busapi.ErrPartial) {
		t.Errorf("the call ended with %v", err)
	}
	if _, err := c.Status(t.Context()); err == nil {
		t.Error("a stopped daemon answered")
	}
	if _, err := busapi.DialDevice(t.Context(), bus.Env, true); !errors.Is(err, busapi.ErrNotRunning) {
		t.Errorf("dialling a stopped daemon gave %v", err)
	}
}

func TestTooManyCallsAtOnce(t *testing.T) {
	bus, backend := bustest.Start(t), &bustest.Device{}
	release := make(chan struct{})
	backend.On("Check", func(context.Context, busapi.Prompter) error { <-release; return nil })
	d, _ := bus.ServeDevice(t, backend)
	t.Cleanup(func() { close(release) }) // before the daemon is stopped
	for i := range busapi.MaxCalls / busapi.MaxPerSender {
		c := dialDevice(t, bus)
		for range busapi.MaxPerSender {
			go c.Check(context.Background(), false)
		}
		bustest.Until(t, "the calls", func() bool { return d.Running() == (i+1)*busapi.MaxPerSender })
		if _, err := c.Status(t.Context()); !errors.Is(err, busapi.ErrBusy) {
			t.Fatalf("one call more than a caller may have gave %v", err)
		}
	}
	bustest.Until(t, "the last place", func() bool { return len(backend.Calls()) == busapi.MaxCalls })
	if _, err := dialDevice(t, bus).Check(t.Context(), false); !errors.Is(err, busapi.ErrBusy) {
		t.Errorf("one call more than all may have gave %v", err)
	}
}

func TestNameTaken(t *testing.T) {
	bus := bustest.Start(t)
	bus.ServeDevice(t, &bustest.Device{})
	second := busapi.NewDevice(bus.Connect(t), &bustest.Device{}, bustest.Quiet())
	if err := second.Run(t.Context()); !errors.Is(err, busapi.ErrNameTaken) || !strings.Contains(err.Error(), busapi.DeviceName) {
		t.Errorf("the second daemon ended with %v", err)
	}
}

func TestBusThatGoesAwayEndsRun(t *testing.T) {
	bus := bustest.Start(t)
	conn := bus.Connect(t)
	d := busapi.NewDevice(conn, &bustest.Device{}, bustest.Quiet())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(context.Background()) }()
	bustest.Wait(t, d.Ready(), "ready")
	conn.Close()
	if err := bustest.Wait(t, ended, "the end of Run"); err == nil {
		t.Error("Run ended without an error")
	}
}

func TestNotRunning(t *testing.T) {
	bus := bustest.Start(t)
	if _, err := busapi.DialDevice(t.Context(), bus.Env, true); !errors.Is(err, busapi.ErrNotRunning) {
		t.Errorf("no device: %v", err)
	}
	if _, err := busapi.DialReader(t.Context(), bus.Env, false); !errors.Is(err, busapi.ErrNotRunning) {
		t.Errorf("no reader: %v", err)
	}
	nowhere := func(string) string { return "unix:path=" + bus.Dir + "/none" }
	if _, err := busapi.DialDevice(t.Context(), nowhere, true); !errors.Is(err, busapi.ErrNotRunning) {
		t.Errorf("no bus: %v", err)
	}
}

// A canceled call is the caller's own doing, not an error of the daemon's.
func TestCanceledCall(t *testing.T) {
	bus, backend := bustest.Start(t), &bustest.Device{}
	started := make(chan struct{})
	backend.On("Backup", func(ctx context.Context, _ busapi.Prompter) error { close(started); <-ctx.Done(); return nil })
	bus.ServeDevice(t, backend)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := dialDevice(t, bus).Backup(ctx, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
