package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

const address = "00:1A:7D:DA:71:13"

// world is a bus with both daemons' objects on it.
type world struct {
	bus    *bustest.Bus
	device *bustest.Device
	reader *bustest.Reader
	object *busapi.Device
	screen *busapi.Reader

	stopped chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{bus: bustest.Start(t), device: &bustest.Device{}, reader: &bustest.Reader{}, stopped: make(chan struct{})}
	card := busapi.CardInfo{State: "ok", Profile: "file", Capacity: 1 << 20, Used: 1500, Generation: 4}
	peer := busapi.PeerInfo{ID: "00ff", Name: "pi", Address: address, Paired: 7, InRange: true}
	w.device.State = busapi.DeviceStatus{Name: "phone", Paired: true, Reader: &peer, InRange: true, Activity: "idle",
		LastBackup: 1, LastBackupAge: 200, LastSnapshot: "s2", Counts: map[string]int64{"intact": 3}, Watch: "off", Card: &card}
	w.device.Peer = peer
	w.device.Saved = busapi.BackupResult{Snapshot: "s3", Mode: "incremental", Changed: true, Items: 9, ItemsSent: 1,
		BytesSent: 2500, BytesReceived: 300, Card: card}
	w.device.Auto = busapi.AutoBackupInfo{State: "unset"}
	w.reader.State = busapi.ReaderStatus{Name: "pi", Address: address, Devices: []busapi.PeerInfo{{ID: "aa", Name: "phone"}}, Card: card}
	w.reader.Screen = busapi.DisplayInfo{State: "address", Address: address, Lines: []string{"Pairing", "", address}}
	w.reader.Card, w.reader.Report = card, busapi.CardReport{Card: card, Whole: true, Blobs: 2, Bytes: 1500}
	w.object, _ = w.bus.ServeDevice(t, w.device)
	w.screen, _ = w.bus.ServeReader(t, w.reader)
	return w
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

func runOn(bus *bustest.Bus, stdin string, args ...string) result {
	return runBy(time.Now, bus, stdin, args...)
}

func runBy(clock func() time.Time, bus *bustest.Bus, stdin string, args ...string) result {
	var out, err bytes.Buffer
	env := func(string) string { return "" }
	if bus != nil {
		env = bus.Env
	}
	code := mainAt(context.Background(), args, Stdio{In: strings.NewReader(stdin), Out: &out, Err: &err}, env, clock)
	return result{code, out.String(), err.String()}
}

func (w *world) run(args ...string) result { return runOn(w.bus, "", args...) }

// runAt runs a command while the clock stands still.
func (w *world) runAt(now int64, args ...string) result {
	return runBy(func() time.Time { return time.Unix(now, 0) }, w.bus, "", args...)
}

// document decodes one JSON document, and fails the test when there is anything
// beside it.
func document(t *testing.T, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if dec.More() {
		t.Fatalf("more than one document: %q", text)
	}
	return doc
}

func TestJSONOfEveryCommand(t *testing.T) {
	w := newWorld(t)
	w.device.Set(func(v *bustest.DeviceValues) {
		v.List, v.Items = []busapi.SnapshotInfo{{ID: "s1"}}, []busapi.ItemInfo{{Path: "/a"}}
	})
	card := "capacity card_key classes detail device elsewhere generation identity left_out needed others pin pin_tries profile reader repaired state used"
	auto := "by every last_reason last_result last_run mode next_due overdue_since prompt state"
	rights := "expires functions grace heartbeat last_proof override reason since state"
	display := "address lines passcode state"
	for _, c := range []struct{ command, keys string }{
		{"status", "activity card card_pin counts damaged in_range interrupted keys_pending last_backup last_backup_age last_snapshot link_error name " +
			"paired passcode questions reader reader_daemon reader_damage recovery_code waiting watch would_lose_bytes would_lose_items"},
		{"pair " + address + " --passcode 123456", "address id in_range name paired"},
		{"unpair", "told"},
		{"backup", "bytes_received bytes_sent card changed healed held items items_sent mode skipped snapshot truncated"},
		{"snapshots", "snapshots"},
		{"snapshots s1", "items snapshot"},
		{"snapshots diff s1 s2", "classes from items to"},
		{"verify --bytes 5", "blobs bytes failed items of snapshot time"},
		{"check", "counts items truncated"},
		{"reprovision --yes", "bytes_received dry_run failed hooks items kept planned quarantine quarantined restored seconds " +
			"snapshot truncated verified"},
		{"forget /a", "forgotten"},
		{"autobackup show", auto},
		{"autobackup configure --every 7d", auto},
		{"autobackup disable", auto},
		{"authorization", rights},
		{"authorization override --for 8h", rights},
		{"authorization resume", rights},
		{"reader status", "address card damage damaged_blobs devices last_scrub link_error name overdue pairing_open pairing_until " +
			"scrubbing stored vaults"},
		{"--quiet passcode set --card-pin", "card card_pin passcode recovery_code"},
		{"card pin set --new-pin-file /proc/sys/kernel/ostype", "pin pin_tries"},
		{"--quiet passcode set --passcode something", "card card_pin passcode recovery_code"},
		{"--quiet passcode change --passcode something", "card card_pin passcode recovery_code"},
		{"passcode clear", "card card_pin passcode recovery_code"},
		{"--quiet recovery-code", "card code passcode pending"},
		{"reader press", display},
		{"reader display", display},
		{"reader devices", "devices"},
		{"reader forget aa", "forgotten"},
		{"card status", card},
		{"card init --yes", card},
		{"card verify", "blobs bytes card lost versions whole"},
		{"version", "go revision version"},
	} {
		t.Run(c.command, func(t *testing.T) {
			r := w.run(append([]string{"--json"}, strings.Fields(c.command)...)...)
			if r.code != 0 || r.err != "" && c.command != "unpair" {
				t.Errorf("exit code %d, %q", r.code, r.err)
			}
			doc := document(t, r.out)
			if diff := cmp.Diff(c.keys, strings.Join(sortedKeys(doc), " ")); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(r.out, "null") {
				t.Errorf("a list is null: %s", r.out)
			}
		})
	}
}

func sortedKeys(doc map[string]any) []string { return slices.Sorted(maps.Keys(doc)) }

// What a daemon or a peer says cannot drive the terminal.
func TestTextFromOutsideIsMadePrintable(t *testing.T) {
	w := newWorld(t)
	const bad = "a\x1b[31m\n\u202e\u0085\xff"
	const good = `a\x1b[31m\n\u202e\u0085\xff`
	w.device.Set(func(v *bustest.DeviceValues) {
		v.Peer.Name = bad
		peer := v.Peer
		v.State.Name, v.State.Reader, v.State.Waiting, v.State.Activity = bad, &peer, bad, bad
		v.List = []busapi.SnapshotInfo{{ID: bad}}
		v.Items = []busapi.ItemInfo{{Path: bad}}
	})
	w.reader.Set(func(v *bustest.ReaderValues) {
		v.State.Devices, v.Screen.Lines, v.Card.Detail = []busapi.PeerInfo{{ID: "aa", Name: bad}}, []string{bad}, bad
	})
	for _, command := range []string{"status", "snapshots", "snapshots x", "reader devices", "reader display", "card status", "pair " + address + " --passcode 1"} {
		r := w.run(strings.Fields(command)...)
		if !strings.Contains(r.out, good) || strings.ContainsAny(r.out, "\x1b\u202e\u0085\uEFFF") {
			t.Errorf("%s: %q", command, r.out)
		}
	}
}

// A command whose context ends is interrupted, and so is the daemon's work.
func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	w.device.On("Backup", func(ctx context.Context, _ busapi.Prompter) error {
		cancel()
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	})
	var out, errs bytes.Buffer
	code := Main(ctx, []string{"backup"}, Stdio{In: strings.NewReader(""), Out: &out, Err: &errs}, w.bus.Env)
	if code != 1 || errs.String() != "scrctl: cannot back up: interrupted\n" {
		t.Errorf("exit code %d, %q", code, errs.String())
	}
	bustest.Wait(t, ended, "the end of the backup")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"version"}} {
		var errs bytes.Buffer
		if code := Main(context.Background(), args, Stdio{In: strings.NewReader(""), Out: brokenWriter{}, Err: &errs}, w.bus.Env); code != 1 {
			t.Errorf("%v: exit code %d, %q", args, code, errs.String())
		}
	}
}
