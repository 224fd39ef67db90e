package busapi

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

// fullStatus has every field set, so that one that does not travel is seen.
func fullStatus() DeviceStatus {
	return DeviceStatus{
		Name: "phone", Paired: true, InRange: true, LinkError: "no", Activity: "idle",
		Reader:     &PeerInfo{ID: "0a", Name: "Gr\xfc\xdfe", Address: "00:1A:7D:DA:71:13", Paired: 5, InRange: true},
		LastBackup: 1, LastBackupAge: -1, LastSnapshot: "s", WouldLoseItems: 2, WouldLoseBytes: 3, Damaged: 4,
		Counts: map[string]int64{"erased": 4, "intact": 1 << 40}, Waiting: "w", Watch: "fanotify", Interrupted: true,
		Card:         &CardInfo{State: "ok", Profile: "file", Identity: "i", Capacity: 1, Used: 2, Generation: 1 << 63, Detail: "d", Classes: []string{"keys"}, Others: []OtherCard{}},
		ReaderDamage: 3, Verified: &VerifyResult{Time: 1, Snapshot: "s", Blobs: 2, Of: 3, Items: 4, Bytes: 5, Failed: []string{"f"}},
		AutoBackup: &AutoBackupInfo{State: "on", By: "owner", Every: 1, Mode: "full", NextDue: 2, OverdueSince: 3, LastRun: 4,
			LastResult: "away", LastReason: "r", Prompt: "reader"},
		Authorization: &AuthorizationInfo{State: "expiring", Reason: "card-out", Since: 1, Expires: 2, LastProof: 3, Override: 4,
			Heartbeat: 5, Grace: 6, Functions: []FunctionInfo{{Function: "units", State: "failed", Reason: "card-out", Expires: 2, Error: "e"}}},
		Questions: []QuestionInfo{{Kind: "autobackup", Waited: 5, Agent: true}},
	}
}

func fullResult() ReprovisionResult {
	one := []Finding{{Path: "/a", Class: "keys", Verdict: "erased", Reason: "gone"}}
	return ReprovisionResult{
		Snapshot: "s", DryRun: true, Planned: 1, Restored: 2, Verified: 3, Quarantined: 4, Failed: one, Kept: one,
		Items: one, Hooks: []string{"nmcli: exit 1"}, Truncated: 7, Quarantine: "/q", BytesReceived: 5, Seconds: 1.5,
	}
}

// Every value of types.go comes back as it was, with all fields.
func TestValuesSurviveTheBus(t *testing.T) {
	values := []any{
		fullStatus(), fullResult(),
		BackupResult{Snapshot: "s", Mode: "full", Changed: true, Items: 1, ItemsSent: 2, BytesSent: 3, BytesReceived: 4,
			Held: []string{"a"}, Skipped: []string{"b"}, Truncated: 1, Card: CardInfo{State: "full", Classes: []string{"keys"}, Others: []OtherCard{}}},
		SnapshotInfo{ID: "s", Parent: "p", Seq: 1, Created: 2, Mode: "full", Items: 3, Bytes: 4, Stored: 5},
		ItemInfo{Path: "/a", Class: "keys", Type: "file", Mode: "0600", Size: 1, ModTime: 2, SHA256: "00"},
		CheckResult{Items: []Finding{{Path: "p"}}, Counts: map[string]int64{"erased": 1}, Truncated: 2},
		ReprovisionRequest{Classes: []string{"keys"}, Paths: []string{"p\xff"}, Snapshot: "s", DryRun: true, Yes: true},
		ReaderStatus{Name: "r", Address: "a", PairingOpen: true, PairingUntil: 1, Devices: []PeerInfo{{ID: "1", Usage: &UsageInfo{Used: 1, Quota: 2, Blobs: 3}}},
			Vaults: 2, Stored: 3, Card: CardInfo{Used: 4, Classes: []string{}, Others: []OtherCard{}}, LastScrub: 5, Scrubbing: true, DamagedBlobs: 6,
			Damage:  []BlobDamage{{Device: "1", Vault: "v", Blob: "b", Snapshots: 7, Newest: true}},
			Overdue: []OverdueInfo{{ID: "1", Name: "phone", Every: 2, Late: 3}}},
		ItemChange{Path: "/a", Class: "keys", Type: "file", Change: "changed", Size: 1, Was: 2},
		DisplayInfo{State: "passcode", Address: "a", Passcode: "123456", Lines: []string{"x"}},
		CardReport{Card: CardInfo{State: "ok", Classes: []string{}, Others: []OtherCard{}}, Whole: true, Blobs: 1, Bytes: 2, Lost: 3, Versions: []CardVersion{{State: "whole", Generation: 2, Bytes: 2, Newest: true}}},
	}
	for _, v := range values {
		t.Run(reflect.TypeOf(v).Name(), func(t *testing.T) {
			d := serverCodec().encode(v)
			got := reflect.New(reflect.TypeOf(v))
			if err := serverCodec().decode(d, got.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, got.Elem().Interface()); diff != "" {
				t.Error(diff)
			}
			if missing := tags(reflect.TypeOf(v)) - len(d); missing != 0 {
				t.Errorf("%d fields do not travel", missing)
			}
		})
	}
}

func tags(t reflect.Type) int {
	n := 0
	for i := range t.NumField() {
		if _, ok := fieldName(t.Field(i)); ok {
			n++
		}
	}
	return n
}

func TestDecodeRefuses(t *testing.T) {
	v := dbus.MakeVariant
	for _, c := range []struct {
		name string
		dict Dict
		want string
	}{
		{"unknown key", Dict{"zz": v("x"), "aa": v("x")}, `unknown key "aa"`},
		{"string for a list", Dict{"classes": v("keys")}, `key "classes": want a list`},
		{"number in a list", Dict{"classes": v([]int64{1})}, `entry 0: want a string`},
		{"list for a string", Dict{"snapshot": v([]string{"x"})}, `key "snapshot": want a string`},
		{"string for a bool", Dict{"yes": v("true")}, `key "yes": want a bool`},
		{"long string", Dict{"snapshot": v(strings.Repeat("x", maxText+1))}, "too long"},
		{"long list", Dict{"paths": v(make([]string, maxList+1))}, "too many"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := serverCodec().decode(c.dict, &ReprovisionRequest{})
			if !errors.Is(err, ErrInvalidArguments) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrInvalidArguments with %q", err, c.want)
			}
		})
	}
}

func TestDecodeIntegers(t *testing.T) {
	for _, value := range []any{int64(7), int32(7), uint32(7), uint64(7), byte(7), int16(7)} {
		var s SnapshotInfo
		d := Dict{"seq": dbus.MakeVariant(value), "items": dbus.MakeVariant(value)}
		if err := serverCodec().decode(d, &s); err != nil || s.Seq != 7 || s.Items != 7 {
			t.Errorf("%T: got %d and %d, %v", value, s.Seq, s.Items, err)
		}
	}
	for name, value := range map[string]any{"items": uint64(1 << 63), "seq": int64(-1), "bytes": 1.5, "stored": "7"} {
		if err := serverCodec().decode(Dict{name: dbus.MakeVariant(value)}, &SnapshotInfo{}); err == nil {
			t.Errorf("%s = %v (%T) was accepted", name, value, value)
		}
	}
}

// A newer daemon's keys are no error for a client, and what an older one does
// not send is an empty list, not null.
func TestClientCodecIsTolerant(t *testing.T) {
	var r CheckResult
	if err := clientCodec().decode(Dict{"newer": dbus.MakeVariant("x")}, &r); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil || string(text) != `{"items":[],"counts":{},"truncated":0}` {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestBounded(t *testing.T) {
	long := make([]Finding, 100)
	for i := range long {
		long[i] = Finding{Path: strings.Repeat("x", 1000)}
	}
	r := ReprovisionResult{Failed: long[:2], Items: long, Kept: long[:1]}.bounded(10 * 1300)
	if len(r.Failed) != 2 || len(r.Kept) != 1 || len(r.Items) == 0 || len(r.Items) > 8 {
		t.Errorf("kept %d failed, %d kept, %d items", len(r.Failed), len(r.Kept), len(r.Items))
	}
	if got := int64(len(r.Items)) + r.Truncated; got != 100 {
		t.Errorf("%d items and %d left out", len(r.Items), r.Truncated)
	}
	c := CheckResult{Items: long}.bounded(2000)
	if len(c.Items) != 1 || c.Truncated != 99 {
		t.Errorf("kept %d items and left out %d", len(c.Items), c.Truncated)
	}
	b := BackupResult{Skipped: []string{"a", "b"}, Held: []string{"c"}}.bounded(20)
	if len(b.Skipped) != 2 || len(b.Held) != 0 || b.Truncated != 1 {
		t.Errorf("kept %v and %v, left out %d", b.Skipped, b.Held, b.Truncated)
	}
}

// The cost that fit reckons with is never below what the bus really takes.
func TestCostCoversTheMessage(t *testing.T) {
	f := Finding{Path: "/p\xff\xff", Class: "service-books", Verdict: "corrupted", Reason: "content differs"}
	const n = 1000
	list := make([]Finding, n)
	for i := range list {
		list[i] = f
	}
	msg := &dbus.Message{Type: dbus.TypeMethodReply, Body: []any{encodeAll(serverCodec(), list)},
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(uint32(1)),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf([]Dict{})),
		}}
	var wire bytes.Buffer
	if err := msg.EncodeTo(&wire, binary.LittleEndian); err != nil {
		t.Fatal(err)
	}
	if wire.Len() > n*costOfFinding(f) {
		t.Errorf("%d bytes on the bus, reckoned with %d", wire.Len(), n*costOfFinding(f))
	}
}

func TestEvent(t *testing.T) {
	in := Event{Time: "2026-01-02T03:04:05.6Z", Side: "device", Event: "verdict", Fields: map[string]any{
		"path": "/a\xff", "count": int64(2), "n": 3, "deep": true, "paths": []string{"x"}, "odd": struct{}{},
		"time": "never", "passcode": "123456",
	}}
	out, ok := decodeEvent(encodeEvent(in))
	want := Event{Time: in.Time, Side: "device", Event: "verdict", Fields: map[string]any{
		"path": "/a\uEFFF", "count": int64(2), "n": int64(3), "deep": true, "paths": []string{"x"}, "odd": "{}",
	}}
	if diff := cmp.Diff(want, out); diff != "" || !ok {
		t.Errorf("%v %s", ok, diff)
	}
	for _, d := range []Dict{{}, {"event": dbus.MakeVariant(int64(1))}} {
		if _, ok := decodeEvent(d); ok {
			t.Errorf("%v passed as an event", d)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("keys", "p", int64(1), true, uint8(0))
	f.Add("\xff", strings.Repeat("y", maxText+1), int64(-1), false, uint8(7))
	f.Fuzz(func(t *testing.T, a, b string, n int64, yes bool, mix uint8) {
		values := []any{a, []string{a, b}, n, yes, []Dict{{a: dbus.MakeVariant(b)}}, map[string]int64{a: n},
			Dict{a: dbus.MakeVariant(n)}, float64(n)}
		pick := func(i uint8) dbus.Variant { return dbus.MakeVariant(values[(mix+i)%8]) }
		d := Dict{"classes": pick(0), "paths": pick(1), "snapshot": pick(2), "dry_run": pick(3), "items": pick(4),
			"counts": pick(5), "reader": pick(6), "card": pick(7), "seq": pick(2), "event": pick(0), "details": pick(3)}
		for _, into := range []any{&ReprovisionRequest{}, &DeviceStatus{}, &ReprovisionResult{}, &CheckResult{}, &SnapshotInfo{}} {
			_ = clientCodec().decode(d, into)
			if serverCodec().decode(d, into) == nil {
				t.Fatalf("unknown keys were accepted into %T", into)
			}
		}
		decodeEvent(d)
	})
}
