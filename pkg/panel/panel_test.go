package panel

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name string
		view View
		want []string
	}{
		{"idle", View{State: Idle}, []string{"Smart card reader", "", "Press the button", "to pair a device."}},
		{"notice", View{State: Idle, Notice: "phone: for 3 days \x1b"},
			[]string{"Backup overdue", "", "phone: for 3 days ?", "", "Bring the device near"}},
		{"long notice", View{State: Idle, Notice: strings.Repeat("x", 200)}, []string{"Backup overdue", "", strings.Repeat("x", 21),
			strings.Repeat("x", 21), strings.Repeat("x", 21), strings.Repeat("x", 20) + "…", "", "Bring the device near"}},
		{"zero", View{}, []string{"Smart card reader", "", "Press the button", "to pair a device."}},
		{"address", View{State: Address, Address: "00:1A:7D:DA:71:13"},
			[]string{"Pairing", "", "Enter this address", "at the device:", "", "00:1A:7D:DA:71:13"}},
		{"passcode", View{State: Passcode, Passcode: "12345678"},
			[]string{"Passcode", "", "Enter it at the", "device:", "", "1234 5678"}},
		{"paired", View{State: Paired, Name: "Grete's phone in the kitchen"},
			[]string{"Paired with", "", "Grete's phone in the", "kitchen"}},
		{"failed", View{State: Failed, Reason: "wrong passcode"}, []string{"Pairing failed", "", "wrong passcode"}},
		{"alert", View{State: Alert, Reason: "from phone"}, []string{"Wrong passcode", "", "from phone"}},
		{"card", View{State: Idle, Card: "No card"}, []string{"Smart card reader", "", "Press the button", "to pair a device.", "", "No card"}},
		{"full with a card", View{State: Idle, Notice: strings.Repeat("x", 200), Card: "No card"}, []string{"Backup overdue", "", strings.Repeat("x", 21),
			strings.Repeat("x", 21), strings.Repeat("x", 21), strings.Repeat("x", 20) + "…", "", "Bring the device near"}},
		{"saving", View{State: Progress, Task: Saving, Name: "phone", Bytes: 2_400_000}, []string{"Saving", "", "phone", "", "2.4 MB"}},
		{"no name", View{State: Paired}, []string{"Paired with", ""}},
		{"escape codes", View{State: Paired, Name: "\x1b[2Jx\ny\u202eabc\xff"}, []string{"Paired with", "", "?[2Jx y?abc?"}},
		{"wide", View{State: Paired, Name: strings.Repeat("日", 11)},
			[]string{"Paired with", "", strings.Repeat("日", 10), "日"}},
		{"piled marks", View{State: Paired, Name: "a" + strings.Repeat("\u0300", 50) + "b"}, []string{"Paired with", "", "?b"}},
		{"one mark", View{State: Paired, Name: "a\u0300b"}, []string{"Paired with", "", "a\u0300b"}},
		{"long", View{State: Paired, Name: strings.Repeat("x", 200)},
			[]string{"Paired with", "", strings.Repeat("x", 21), strings.Repeat("x", 21), strings.Repeat("x", 20) + "…"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.view.Lines()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGroup(t *testing.T) {
	for in, want := range map[string]string{"": "", "12": "12", "1234": "1234", "12345": "1234 5", "12345678": "1234 5678"} {
		if got := group(in); got != want {
			t.Errorf("group(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		-1: "0 B", 0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		42_400_000: "42 MB", 1 << 40: "1.1 TB", math.MaxInt64: "9.2 EB",
	} {
		if got := Size(n); got != want || len(got) > 6 {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// TestProgress shows data that move unless a pairing goes on.
func TestProgress(t *testing.T) {
	d := New()
	moving := View{State: Progress, Task: Saving, Name: "phone", Bytes: 5}
	for _, c := range []struct {
		do   func()
		want View
	}{
		{func() { d.SetCard("No card") }, View{State: Idle, Card: "No card"}},
		{func() { d.SetProgress(Saving, "phone", 5) }, moving},
		{func() { d.SetAlert("wrong") }, moving},
		{func() { d.ShowPasscode("123456") }, View{State: Passcode, Passcode: "123456"}},
		{func() { d.SetProgress(Saving, "phone", 9) }, View{State: Passcode, Passcode: "123456"}},
		{func() { d.ShowPaired("tablet") }, View{State: Progress, Task: Saving, Name: "phone", Bytes: 9}},
		{d.EndProgress, View{State: Paired, Name: "tablet"}},
		{func() { d.SetProgress(Restoring, "tablet", 1) }, View{State: Progress, Task: Restoring, Name: "tablet", Bytes: 1}},
		{d.EndProgress, View{State: Alert, Reason: "wrong"}},
		{func() { d.SetAlert("") }, View{State: Idle, Card: "No card"}},
	} {
		c.do()
		if got := d.View(); got != c.want {
			t.Errorf("shows %+v, want %+v", got, c.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("idle", "x")
	f.Add("passcode", "123456")
	f.Add("paired", "日本語\u202e\x1b[31m")
	f.Add("failed", strings.Repeat("a\u0300 ", 500))
	f.Add("paired", "👨‍👩‍👧‍👦🇩🇪⸻\xff\xfe")
	f.Fuzz(func(t *testing.T, state, text string) {
		v := View{State: State(state), Address: text, Passcode: text, Name: text, Reason: text, Notice: text}
		lines := v.Lines()
		if len(lines) > Rows {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines {
			if w := uniseg.StringWidth(line); w > Columns {
				t.Fatalf("%q takes %d columns", line, w)
			}
			if !utf8.ValidString(line) {
				t.Fatalf("%q is not UTF-8", line)
			}
			for _, r := range line {
				if !unicode.IsGraphic(r) {
					t.Fatalf("%q holds %U", line, r)
				}
			}
		}
	})
}

func TestDisplayTellsWatchers(t *testing.T) {
	d := New()
	views, stop := d.Watch()
	if v := <-views; v.State != Idle {
		t.Errorf("a new display shows %v", v)
	}
	for _, c := range []struct {
		show func()
		want View
	}{
		{func() { d.ShowAddress("00:1A:7D:DA:71:13") }, View{State: Address, Address: "00:1A:7D:DA:71:13"}},
		{func() { d.ShowPasscode("123456") }, View{State: Passcode, Passcode: "123456"}},
		{func() { d.ShowPaired("phone") }, View{State: Paired, Name: "phone"}},
		{func() { d.ShowFailed("why") }, View{State: Failed, Reason: "why"}},
		{d.Clear, View{State: Idle}},
	} {
		c.show()
		if got := <-views; got != c.want || d.View() != c.want {
			t.Errorf("showed %v, then %v, want %v", got, d.View(), c.want)
		}
	}
	stop()
	d.ShowPasscode("123456")
	select {
	case v := <-views:
		t.Errorf("a watcher that stopped saw %v", v)
	default:
	}
}

// TestAlertStays shows an alert whenever no pairing goes on, until it is taken back.
func TestAlertStays(t *testing.T) {
	d := New()
	d.SetAlert("from phone")
	alert := View{State: Alert, Reason: "from phone"}
	for _, c := range []struct {
		do   func()
		want View
	}{
		{func() {}, alert},
		{func() { d.ShowAddress("00:1A:7D:DA:71:13") }, View{State: Address, Address: "00:1A:7D:DA:71:13"}},
		{func() { d.SetAlert("again") }, View{State: Address, Address: "00:1A:7D:DA:71:13"}},
		{d.Clear, View{State: Alert, Reason: "again"}},
		{func() { d.SetAlert("") }, View{State: Idle}},
	} {
		c.do()
		if got := d.View(); got != c.want {
			t.Errorf("shows %v, want %v", got, c.want)
		}
	}
}

func TestSlowWatcherSeesTheLast(t *testing.T) {
	d := New()
	views, stop := d.Watch()
	d.ShowPasscode("123456")
	d.ShowPaired("phone")
	if v := <-views; v.State != Paired {
		t.Errorf("saw %v", v)
	}
	d.ShowPasscode("123456")
	stop()
	if len(views) != 0 {
		t.Error("a passcode stayed in the channel")
	}
}

func TestDisplayFromManyGoroutines(t *testing.T) {
	d := New()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			views, stop := d.Watch()
			defer stop()
			for n := range 100 {
				d.ShowPaired(fmt.Sprint(i, n))
				if v := <-views; v.State != Paired && v.State != Idle {
					t.Errorf("saw %v", v)
				}
			}
		})
	}
	all.Wait()
}

func TestNotice(t *testing.T) {
	d := New()
	shows := func(want View) {
		t.Helper()
		if diff := cmp.Diff(want, d.View()); diff != "" {
			t.Error(diff)
		}
	}
	d.SetNotice("phone: for 3 days")
	shows(View{State: Idle, Notice: "phone: for 3 days"})
	d.ShowPasscode("123456")
	d.SetNotice("phone: for 4 days")
	shows(View{State: Passcode, Passcode: "123456"})
	d.Clear()
	shows(View{State: Idle, Notice: "phone: for 4 days"})
	d.ShowPaired("phone")
	shows(View{State: Paired, Name: "phone"})
	d.SetNotice("")
	shows(View{State: Paired, Name: "phone"})
	d.SetNotice("tablet: for 2 h")
	shows(View{State: Idle, Notice: "tablet: for 2 h"})
	d.SetNotice("")
	shows(View{State: Idle})
}
