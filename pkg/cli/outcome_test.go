package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func TestReprovisionRequest(t *testing.T) {
	w := newWorld(t)
	t.Chdir(t.TempDir())
	if r := w.run("reprovision", "--class", "keys", "--class", "preferences", "--path", "/a/../b", "--path", "keys/x", "--path", "./y",
		"--snapshot", "s1", "--yes", "--no-input"); r.code != 0 {
		t.Fatalf("got %+v", r)
	}
	cwd, _ := os.Getwd()
	want := []string{fmt.Sprintf("Reprovision {Classes:[keys preferences] Paths:[/b keys/x %s/y] Snapshot:s1 From: DryRun:false Yes:true}", cwd)}
	if diff := cmp.Diff(want, w.device.Calls()); diff != "" {
		t.Error(diff)
	}
}

func TestOutcomes(t *testing.T) {
	failed := []busapi.Finding{{Path: "/a", Reason: "read-only"}}
	card := func(state, detail string) func(*bustest.DeviceValues) {
		return func(v *bustest.DeviceValues) { v.Saved.Card = busapi.CardInfo{State: state, Detail: detail} }
	}
	done := busapi.ReprovisionResult{Snapshot: "s2", Planned: 2, Restored: 2, Verified: 2, Quarantined: 1, Quarantine: "/q",
		BytesReceived: 1234, Seconds: 1.5, Kept: []busapi.Finding{{}}}
	for _, c := range []struct {
		name, command string
		set           func(*bustest.DeviceValues)
		code          int
		out, err      string // parts
	}{
		{"card ok", "backup", card("ok", ""), 0, "Saved snapshot s3 (incremental): 1 of 9 items sent, 2.5 kB.", ""},
		{"card none", "backup", card("none", ""), 0, "Saved", "no card in the reader"},
		{"card stale", "backup", card("stale", ""), 0, "Saved", "not hold the newest"},
		{"card full", "backup", card("full", "9 bytes too many"), 9, "Saved", "(full: 9 bytes too many)"},
		{"card other-vault", "backup", card("other-vault", ""), 9, "Saved", "safe at the reader"},
		{"card error", "backup", card("error", ""), 9, "Saved", "safe at the reader"},
		{"card unformatted", "backup", card("unformatted", ""), 9, "Saved", "safe at the reader"},
		{"card blank", "backup", card("blank", ""), 9, "Saved", "safe at the reader"},
		{"skipped", "backup", func(v *bustest.DeviceValues) { v.Saved.Skipped = []string{"/x: denied"} }, 8, "Saved", "cannot save /x: denied"},
		{"held", "backup", func(v *bustest.DeviceValues) { v.Saved.Held = []string{"/x"} }, 0, "Saved", "the last good state is kept of /x"},
		{"no change", "backup", func(v *bustest.DeviceValues) { v.Saved.Changed = false }, 0, "Nothing has changed since snapshot s3.", ""},
		{"empty", "backup", func(v *bustest.DeviceValues) { v.Saved = busapi.BackupResult{} }, 0, "nothing to save", ""},
		{"intact", "check", func(v *bustest.DeviceValues) { v.Found.Counts = map[string]int64{"intact": 3, "changed": 1} }, 0,
			"4 items: 1 changed, 3 intact.", ""},
		{"no items", "check", nil, 0, "There are no items.", ""},
		{"erased", "check", func(v *bustest.DeviceValues) {
			v.Found.Items = []busapi.Finding{{Path: "/k\x1b", Class: "keys", Verdict: "erased", Reason: "gone"}}
			v.Found.Counts = map[string]int64{"erased": 1}
		}, 20, "erased  keys  /k\\x1b  gone\n1 item: 1 erased.\n", ""},
		{"corrupted", "check --quiet", func(v *bustest.DeviceValues) { v.Found.Counts = map[string]int64{"corrupted": 1} }, 20, "1 corrupted", ""},
		{"unavailable", "check", func(v *bustest.DeviceValues) {
			v.Found.Counts = map[string]int64{"unavailable": 1}
			v.Found.Truncated = 5
		}, 0, "and 5 more", ""},
		{"restored", "reprovision --yes", func(v *bustest.DeviceValues) { v.Result = done }, 0,
			"Restored 2 items from snapshot s2 in 1.5s (1.2 kB received).\n2 of 2 items verified.\n" +
				"Replaced, and kept in /q: 1 item.\nChanged since the snapshot, and left as now: 1 item.\n", ""},
		{"quiet", "reprovision --yes --quiet", func(v *bustest.DeviceValues) { v.Result = done }, 0, "", ""},
		{"nothing", "reprovision --yes", nil, 0, "Nothing needs to be restored.", ""},
		{"failed", "reprovision --yes", func(v *bustest.DeviceValues) { v.Result = done; v.Result.Failed = failed }, 8, "Restored",
			"cannot restore /a: read-only"},
		{"not verified", "reprovision --yes", func(v *bustest.DeviceValues) { v.Result = done; v.Result.Verified = 1 }, 8, "1 of 2", ""},
		{"hook", "reprovision --yes", func(v *bustest.DeviceValues) { v.Result = done; v.Result.Hooks = []string{"nmcli: 1"} }, 0, "Restored",
			"a hook failed: nmcli: 1"},
		{"dry run", "reprovision --dry-run --no-input", func(v *bustest.DeviceValues) {
			v.Result = busapi.ReprovisionResult{Snapshot: "s2", DryRun: true, Planned: 1, Items: []busapi.Finding{{Path: "/a", Verdict: "erased"}}}
		}, 0, "Would restore 1 item from snapshot s2", ""},
		{"told", "unpair", func(v *bustest.DeviceValues) { v.Told = true }, 0, "The reader is forgotten.", ""},
		{"not told", "unpair", nil, 0, "The reader is forgotten.", "was out of range"},
		{"forget", "forget /a /b", func(v *bustest.DeviceValues) { v.Count = 2 }, 0, "2 items will stay as now.", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.set != nil {
				w.device.Set(c.set)
			}
			r := w.run(strings.Fields(c.command)...)
			if r.code != c.code || !strings.Contains(r.out, c.out) || !strings.Contains(r.err, c.err) {
				t.Errorf("exit code %d, want %d\n%s\n%s", r.code, c.code, r.out, r.err)
			}
			if strings.Contains(c.command, "--quiet") && r.err != "" {
				t.Errorf("--quiet says %q", r.err)
			}
			if c.err == "" && r.err != "" {
				t.Errorf("a note: %q", r.err)
			}
		})
	}
}

func TestReaderOutcomes(t *testing.T) {
	w := newWorld(t)
	w.reader.Set(func(v *bustest.ReaderValues) {
		v.Report.Whole, v.Report.Bytes = false, 0
		v.Report.Card.State = "error"
	})
	if r := w.run("card", "verify"); r.code != 9 || !strings.Contains(r.out, "Nothing on the card is whole: error") {
		t.Errorf("got %+v", r)
	}
	if r := w.run("card", "verify", "--json"); r.code != 9 || document(t, r.out)["whole"] != false {
		t.Errorf("got %+v", r)
	}
	w.reader.Set(func(v *bustest.ReaderValues) {
		v.Report.Bytes, v.Report.Lost = 1500, 7
		v.Report.Versions = []busapi.CardVersion{{State: "whole", Generation: 6, Bytes: 1500, Newest: true}, {State: "damaged", Generation: 7, Bytes: 1600}}
	})
	r := w.run("card", "verify")
	for _, text := range []string{"generation 7, is damaged", "generation 6: whole, 1.5 kB, the newest that is whole", "generation 7: damaged, 1.6 kB"} {
		if r.code != 9 || !strings.Contains(r.out, text) {
			t.Errorf("without %q: %+v", text, r)
		}
	}
	if r := w.run("card", "init", "--force", "--yes"); r.code != 0 || !strings.Contains(r.out, "ok, file, 1.5 kB of 1.0 MB, generation 4") {
		t.Errorf("got %+v", r)
	}
	if r := w.run("reader", "display"); r.out != "Pairing\n\n"+address+"\n" {
		t.Errorf("got %+v", r)
	}
	if r := w.run("reader", "forget", "aa"); r.code != 0 || r.out != "Device aa is forgotten.\n" {
		t.Errorf("got %+v", r)
	}
	w.reader.Fail("CardInit", fmt.Errorf("cannot prepare: %w", busapi.ErrCard))
	if r := w.run("card", "init", "-y"); r.code != 9 {
		t.Errorf("got %+v", r)
	}
	want := []string{"CardVerify", "CardVerify", "CardVerify", "CardStatus",
		"CardInit {Force:true Reader: Identity: Expect:true}", "Display", "Forget aa", "CardStatus", "CardInit {Force:false Reader: Identity: Expect:true}"}
	if diff := cmp.Diff(want, w.reader.Calls()); diff != "" {
		t.Error(diff)
	}
}

// TestCardInitNames says which card is to be prepared, and has that one prepared and no other.
func TestCardInitNames(t *testing.T) {
	w := newWorld(t)
	one := busapi.CardInfo{State: "ok", Profile: "piv", Reader: "ACS 00", Identity: "piv:3b:01", Device: "phone", Capacity: 9000, Used: 1500, Generation: 4}
	other := busapi.OtherCard{State: "unformatted", Profile: "iso7816", Reader: "SCM 01", Identity: "iso7816:3b"}
	for _, c := range []struct {
		args   string
		others []busapi.OtherCard
		code   int
		says   string
		calls  string
	}{
		{"", nil, 0, "Prepare the card in ACS 00 (ok, piv, of phone, 1.5 kB of 9.0 kB, generation 4, identity piv:3b:01)? ", "{Force:false Reader:ACS 00 Identity:piv:3b:01 Expect:true}"},
		{"", []busapi.OtherCard{other}, 0, "Prepare the card in SCM 01 (unformatted, iso7816, identity iso7816:3b)? ", "{Force:false Reader:SCM 01 Identity:iso7816:3b Expect:true}"},
		{"--force", []busapi.OtherCard{other}, 2, "--reader must name one of the readers with a card in: ACS 00, SCM 01", ""},
		{"--force --reader=SCM_01", []busapi.OtherCard{other}, 0, "and lose what", "{Force:true Reader:SCM 01 Identity:iso7816:3b Expect:true}"},
		{"--reader=ACS_00", []busapi.OtherCard{other}, 0, "Prepare the card in ACS 00 (ok", "{Force:false Reader:ACS 00 Identity:piv:3b:01 Expect:true}"},
		{"--reader=no", []busapi.OtherCard{other}, 2, "--reader must name one", ""},
		{"--reader=no", nil, 2, "--reader must name one", ""},
		{"", []busapi.OtherCard{other, other}, 2, "--reader must name one", ""},
	} {
		card := one
		card.Others = c.others
		w.reader.Set(func(v *bustest.ReaderValues) { v.Card = card })
		before := len(w.reader.Calls())
		args := []string{"card", "init"}
		for _, arg := range strings.Fields(c.args) {
			args = append(args, strings.ReplaceAll(arg, "_", " "))
		}
		r := runOn(w.bus, "y\n", args...)
		if r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%q: %+v", c.args, r)
		}
		want := []string{"CardStatus"}
		if c.calls != "" {
			want = append(want, "CardInit "+c.calls)
		}
		if diff := cmp.Diff(want, w.reader.Calls()[before:]); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCardInitAsks(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		stdin, args string
		code        int
		says        string
	}{
		{"y\n", "", 0, "Prepare the card in the reader (ok, file, 1.5 kB of 1.0 MB, generation 4)? [y/N] "},
		{"n\n", "", 10, "declined"},
		{"", "", 2, "the input is at its end"},
		{"y\n", "--force", 0, "and lose what"},
		{"y\n", "--no-input", 2, "--yes is missing"},
		{"", "--no-input --yes", 0, ""},
	} {
		r := runOn(w.bus, c.stdin, append([]string{"card", "init"}, strings.Fields(c.args)...)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%q with %q: %+v", c.args, c.stdin, r)
		}
	}
	var calls []string
	for _, call := range w.reader.Calls() {
		if call != "CardStatus" {
			calls = append(calls, call)
		}
	}
	no, force := "CardInit {Force:false Reader: Identity: Expect:true}", "CardInit {Force:true Reader: Identity: Expect:true}"
	if diff := cmp.Diff([]string{no, force, no}, calls); diff != "" {
		t.Error(diff)
	}
}

func TestStatusOfEitherSide(t *testing.T) {
	w := newWorld(t)
	both := w.run("status")
	for _, part := range []string{"Device       phone\n", "Reader       pi (" + address + "), in range\n", "Backup       3 min ago, snapshot s2\n",
		"At risk      nothing\n", "Damage       none\n", "Reader here  pi"} {
		if !strings.Contains(both.out, part) {
			t.Errorf("%q is missing in\n%s", part, both.out)
		}
	}
	bus := bustest.Start(t)
	bus.ServeReader(t, w.reader)
	r := runOn(bus, "", "status", "--json")
	if keys := sortedKeys(document(t, r.out)); r.code != 0 || strings.Join(keys, " ") != "reader_daemon" {
		t.Errorf("only the reader: %+v", r)
	}
	bus = bustest.Start(t)
	bus.ServeDevice(t, w.device)
	r = runOn(bus, "", "status", "--json")
	if doc := document(t, r.out); r.code != 0 || doc["reader_daemon"] != nil || doc["paired"] != true {
		t.Errorf("only the device: %+v", r)
	}
}
