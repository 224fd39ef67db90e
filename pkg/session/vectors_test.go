package session

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

// updateVectors writes the vectors anew. What is in them is what versions that are in use
// say: do it only for what is added, or with a new protocol name, and say so in the change.
var updateVectors = flag.Bool("update-vectors", false, "write the vectors anew")

var vectorFile = filepath.Join("..", "..", "testdata", "vectors", "session.json")

// vectors are what passes between the two, as it was once written.
type vectors struct {
	Protocols   []string          `json:"protocols"` // by ALPN
	Exporter    string            `json:"exporter"`  // its label
	Certificate []byte            `json:"certificate"`
	Messages    map[string][]byte `json:"messages"`
	Schema      []string          `json:"schema"` // all calls, and all fields with their numbers and types
}

func vectorCommit() Commit {
	return Commit{
		Vault: ID{1}, Snapshot: ID{2}, Parent: ID{3}, Seq: 4, Header: []byte("header"), Add: []ID{{5}, {6}}, Drop: []ID{{7}},
		Critical: []ID{{5}}, Voucher: bytes.Repeat([]byte{8}, ed25519.SignatureSize), Books: []ID{{5}},
	}
}

func vectorVault() Vault {
	return Vault{
		ID: ID{1}, Owner: "phone", Slots: []Slot{{Kind: "reader", Data: []byte("slot")}},
		Head: &Snapshot{ID: ID{2}, Parent: ID{3}, Seq: 4, Header: []byte("header")},
	}
}

// vectorMessages are the greeting and one of each kind that has bytes of other formats in it.
func vectorMessages() map[string]proto.Message {
	id := func(n byte) []byte { v := ID{n}; return v[:] }
	return map[string]proto.Message{
		"Pairing.Start":             &sessionpb.StartRequest{DeviceName: "phone"},
		"Pairing.Start.answer":      &sessionpb.StartResponse{ReaderName: "reader"},
		"Pairing.Exchange":          &sessionpb.ExchangeRequest{Ke1: []byte("ke1")},
		"Pairing.Exchange.answer":   &sessionpb.ExchangeResponse{Ke2: []byte("ke2")},
		"Pairing.Finish":            &sessionpb.FinishRequest{Ke3: []byte("ke3")},
		"Provisioning.Hello":        &sessionpb.HelloRequest{DeviceName: "phone", Backup: writePlan(BackupPlan{Every: time.Hour, DueIn: -time.Minute})},
		"Provisioning.Hello.answer": &sessionpb.HelloResponse{ReaderName: "reader", Card: writeCard(CardState{Status: CardFull}), Run: id(9)},
		"Provisioning.Vaults":       &sessionpb.VaultsResponse{Vaults: []*sessionpb.Vault{writeVault(vectorVault())}},
		"Provisioning.Commit":       writeCommit(vectorCommit()),
		"Provisioning.Put":          &sessionpb.BlobPiece{Id: id(5), Total: 4, Data: []byte("blob"), Last: true},
		"Provisioning.Events":       writeEvent(Event{Kind: EventNotice, Text: "due"}),
		"Failure":                   &sessionpb.Failure{Code: sessionpb.Failure_LOCKED_OUT, RetryAfterMs: 1500, Left: 2},
	}
}

// schema lists what docs/protocol.md calls normative.
func schema() (lines []string) {
	file := sessionpb.File_pkg_session_sessionpb_reprovision_proto
	for s := range file.Services().Len() {
		for m := range file.Services().Get(s).Methods().Len() {
			d := file.Services().Get(s).Methods().Get(m)
			lines = append(lines, fmt.Sprintf("%s(%s %t) %s %t", d.FullName(), d.Input().Name(), d.IsStreamingClient(), d.Output().Name(), d.IsStreamingServer()))
		}
	}
	return append(lines, fields(file.Messages(), file.Enums())...)
}

func fields(messages protoreflect.MessageDescriptors, enums protoreflect.EnumDescriptors) (lines []string) {
	for e := range enums.Len() {
		for v := range enums.Get(e).Values().Len() {
			d := enums.Get(e).Values().Get(v)
			lines = append(lines, fmt.Sprintf("%s.%s = %d", enums.Get(e).FullName(), d.Name(), d.Number()))
		}
	}
	for m := range messages.Len() {
		d := messages.Get(m)
		for f := range d.Fields().Len() {
			field := d.Fields().Get(f)
			lines = append(lines, fmt.Sprintf("%s = %d %s %s", field.FullName(), field.Number(), field.Cardinality(), field.Kind()))
		}
		lines = append(lines, fields(d.Messages(), d.Enums())...)
	}
	return lines
}

func currentVectors(t *testing.T) vectors {
	t.Helper()
	cert, err := certificate(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	v := vectors{
		Protocols: []string{alpnPairing, alpnSession}, Exporter: exporterLabel, Certificate: cert.Certificate[0],
		Messages: map[string][]byte{}, Schema: schema(),
	}
	for name, m := range vectorMessages() {
		if v.Messages[name], err = (proto.MarshalOptions{Deterministic: true}).Marshal(m); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	if *updateVectors {
		text, err := json.MarshalIndent(currentVectors(t), "", "\t")
		if err == nil {
			err = os.WriteFile(vectorFile, append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRecordedMessages reads what was recorded, and writes the same today: two versions
// with one protocol name understand each other. Protobuf may write the same message in
// another way, so what is compared is what is read.
func TestRecordedMessages(t *testing.T) {
	want, got := readVectors(t), currentVectors(t)
	if !slices.Equal(got.Protocols, want.Protocols) || got.Exporter != want.Exporter || !bytes.Equal(got.Certificate, want.Certificate) {
		t.Errorf("the greeting is %v, %q, %x; was %v, %q, %x",
			got.Protocols, got.Exporter, got.Certificate, want.Protocols, want.Exporter, want.Certificate)
	}
	if names := slices.Sorted(maps.Keys(want.Messages)); !slices.Equal(names, slices.Sorted(maps.Keys(got.Messages))) {
		t.Fatalf("the messages recorded are %v", names)
	}
	for name, m := range vectorMessages() {
		read := m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(want.Messages[name], read); err != nil || !proto.Equal(read, m) {
			t.Errorf("%s: what was recorded reads as %v (%v), want %v", name, read, err, m)
		}
		if len(read.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("%s: recorded fields are not known any more", name)
		}
	}
}

// TestRecordedValues has the package's own types come out of the recorded bytes.
func TestRecordedValues(t *testing.T) {
	v := readVectors(t)
	var commit sessionpb.CommitRequest
	var list sessionpb.VaultsResponse
	for name, m := range map[string]proto.Message{"Provisioning.Commit": &commit, "Provisioning.Vaults": &list} {
		if err := proto.Unmarshal(v.Messages[name], m); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := readCommit(&commit); err != nil || !reflect.DeepEqual(c, vectorCommit()) {
		t.Errorf("the commit is %+v, %v", c, err)
	}
	if len(list.GetVaults()) != 1 {
		t.Fatalf("%d vaults", len(list.GetVaults()))
	}
	got, err := readVault(list.GetVaults()[0])
	if err != nil || !proto.Equal(writeVault(got), writeVault(vectorVault())) {
		t.Errorf("the vault is %+v, %v", got, err)
	}
}

// TestSchema compares each call, field and number with what was recorded.
func TestSchema(t *testing.T) {
	want, got := readVectors(t).Schema, schema()
	if len(want) < 100 {
		t.Fatalf("%d lines are recorded", len(want))
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("gone or changed: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("not recorded yet (-update-vectors): %s", strings.TrimSpace(line))
		}
	}
}
