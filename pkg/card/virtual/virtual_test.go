package virtual_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

func newCard(t *testing.T, options virtual.Options) *virtual.Card {
	t.Helper()
	c, err := virtual.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk sends commands and checks the answers, both in hexadecimal.
func talk(t *testing.T, c *virtual.Card, lines ...string) {
	t.Helper()
	for i, line := range lines {
		command, want, _ := strings.Cut(strings.ReplaceAll(line, " ", ""), ">")
		apdu, err := hex.DecodeString(command)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Transmit(t.Context(), apdu)
		if got := strings.ToUpper(hex.EncodeToString(answer)); err != nil || got != want {
			t.Fatalf("line %d: %s gives %s, %v, want %s", i+1, command, got, err, want)
		}
	}
}

// createEF makes file 0101 of 16 bytes.
const createEF = "00E0 0000 0D 620B 80020010 820101 83020101 > 9000"

func TestFileCommands(t *testing.T) {
	talk(t, newCard(t, virtual.Options{}),
		"00B0 0000 01 > 6986", // nothing selected
		"00E0 0000 0E 620C 820138 83022000 8403F0AABB > 9000", // a DF with a name
		createEF,
		createEF[:len(createEF)-4]+"6A89",
		"00D6 0000 03 010203 > 9000",
		"00D6 000E 03 010203 > 6A84",
		"00D6 0010 01 FF > 6B00",
		"00B0 0000 04 > 010203009000",
		"00B0 000F 04 > 009000",
		"00B0 0010 01 > 6B00",
		"00B0 8100 01 > 6A81", // short EF identifiers are not known
		"00A4 000C 02 3F00 > 9000",
		"00A4 020C 02 0101 > 6A82", // lies below the DF
		"00A4 010C 02 2000 > 9000",
		"00A4 020C 02 0101 > 9000",
		"00B0 0001 02 > 02039000",
		"00A4 030C > 9000", // the parent
		"00A4 040C 03 F0AABB > 9000",
		"00A4 040C 03 F0AABC > 6A82",
		"00A4 0204 02 0101 00 > 620C800300001082010183020101"+"9000",
		"00A4 0004 02 2000 00 > 620C820138830220008403F0AABB"+"9000",
		"00E4 0000 02 0101 > 9000",
		"00A4 020C 02 0101 > 6A82",
		"00A4 000C 02 3F00 > 9000",
		"00E4 0000 02 2000 > 9000",
		"00A4 040C 03 F0AABB > 6A82",
		"00E4 0000 > 6985", // the master file stays
		"00CA 0000 00 > 6D00",
		"80B0 0000 01 > 6E00",
		"00A4 04 > 6700",
	)
}

func TestCapacity(t *testing.T) {
	c := newCard(t, virtual.Options{Capacity: 100}) // the master file and an EF of 16 bytes take 80
	talk(t, c, createEF, "00E0 0000 0D 620B 80020001 820101 83020102 > 6A84", "00E4 0000 02 0101 > 9000",
		"00E0 0000 0D 620B 80020024 820101 83020102 > 9000")
}

func TestPIN(t *testing.T) {
	image := filepath.Join(t.TempDir(), "card.json")
	options := virtual.Options{PIN: []byte("1234"), Image: image}
	c := newCard(t, options)
	talk(t, c, createEF[:len(createEF)-4]+"6982", "0020 0081 > 63C3", "0020 0081 04 30303030 > 63C2",
		"0020 0081 04 31323334 > 9000", "0020 0081 > 9000", createEF)
	c.Reset()
	talk(t, c, "0020 0081 > 63C3", "0020 0081 04 30303030 > 63C2")
	c = newCard(t, options) // the tries survive
	talk(t, c, "0020 0081 04 30303030 > 63C1", "0020 0081 04 30303030 > 63C0", "0020 0081 04 31323334 > 6983")
	talk(t, newCard(t, virtual.Options{}), "0020 0081 > 6A88")
}

func TestQuirks(t *testing.T) {
	file := []*virtual.File{{FID: 0x0101, Data: []byte("0123456789")}}
	quirk := func(q virtual.Quirks) *virtual.Card {
		c := newCard(t, virtual.Options{Files: file, Quirks: q})
		talk(t, c, "00A4 000C 02 0101 > 9000")
		return c
	}
	talk(t, quirk(virtual.Quirks{GetResponse: 4}), "00B0 0000 0A > 6104", "00C0 0000 04 > 303132336104",
		"00C0 0000 04 > 343536376102", "00C0 0000 02 > 38399000", "00C0 0000 02 > 6985")
	talk(t, quirk(virtual.Quirks{ExactLe: true}), "00B0 0000 00 > 6C0A", "00B0 0000 0A > 303132333435363738399000")
	talk(t, quirk(virtual.Quirks{ShortOnly: true}), "00B0 0000 000101 > 6700")
	talk(t, quirk(virtual.Quirks{MaxData: 4}), "00B0 0000 05 > 6700", "00B0 0000 04 > 303132339000")
	talk(t, quirk(virtual.Quirks{ReadAtMost: 2}), "00B0 0000 05 > 30319000")
	talk(t, quirk(virtual.Quirks{PastEnd: 0x6282}), "00B0 0008 05 > 38396282", "00B0 000A 01 > 6282")
	talk(t, quirk(virtual.Quirks{NoDelete: true}), "00E4 0000 02 0101 > 6D00")
	talk(t, quirk(virtual.Quirks{NoEFSelector: true}), "00A4 020C 02 0101 > 6A86")
	talk(t, quirk(virtual.Quirks{T0: true}), "00A4 0004 02 0101 > 610E", "00C0 0000 0E > 620C80030000 0A82010183020101"+"9000")
	talk(t, quirk(virtual.Quirks{SizeTag: 0x81}), "00E0 0000 0D 620B 80020010 820101 83020102 > 6A80")
}

func TestChaining(t *testing.T) {
	c := newCard(t, virtual.Options{})
	talk(t, c, createEF, "10D6 0000 02 0102 > 9000", "00D6 0000 02 0304 > 9000", "00B0 0000 05 > 01020304009000",
		"10D6 0000 02 0506 > 9000", "00B0 0000 01 > 6883", // another command breaks the chain
		"00B0 0000 01 > 019000")
}

// TestImage checks that contents survive a restart, and that damage is refused.
func TestImage(t *testing.T) {
	image := filepath.Join(t.TempDir(), "card.json")
	options := virtual.Options{Image: image, Files: []*virtual.File{{FID: 0x2F00, Data: []byte("foreign")}}}
	first := newCard(t, options)
	talk(t, first, createEF, "00D6 0000 03 010203 > 9000")
	options.Files = nil // those of a new card only
	second := newCard(t, options)
	if !reflect.DeepEqual(first.Files(), second.Files()) {
		t.Fatalf("got %+v", second.Files())
	}
	talk(t, second, "00A4 000C 02 0101 > 9000", "00B0 0000 03 > 0102039000")
	if entries, err := os.ReadDir(filepath.Dir(image)); err != nil || len(entries) != 1 {
		t.Fatalf("left over: %v, %v", entries, err)
	}
	for _, bad := range []string{"", "{}", `{"version":1,"root":null}`, `{"version":2,"root":{"fid":16128,"dir":true}}`} {
		if err := os.WriteFile(image, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := virtual.New(options); err == nil {
			t.Errorf("image %q was accepted", bad)
		}
	}
}

func TestHooks(t *testing.T) {
	c := newCard(t, virtual.Options{})
	talk(t, c, createEF)
	update := []byte{0, 0xD6, 0, 0, 4, 1, 2, 3, 4}
	for _, test := range []struct {
		action virtual.Action
		want   string
	}{
		{virtual.PullFirst, "00000000"}, {virtual.Tear, "01020000"}, {virtual.PullAfter, "01020304"},
	} {
		c.SetHook(virtual.FaultAt(1, test.action))
		for range 2 {
			if _, err := c.Transmit(t.Context(), update); !errors.Is(err, card.ErrRemoved) {
				t.Fatalf("got %v", err)
			}
		}
		c.SetHook(nil)
		talk(t, c, "00B0 0000 04 > "+test.want+"9000", "00D6 0000 04 00000000 > 9000")
	}
	c.SetHook(virtual.FaultAt(1, virtual.Mute))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Transmit(ctx, update); !errors.Is(err, card.ErrTimeout) {
		t.Fatalf("got %v", err)
	}
}

func TestCounts(t *testing.T) {
	c := newCard(t, virtual.Options{})
	talk(t, c, createEF)
	before := c.Counts()
	talk(t, c, "00D6 0000 03 010203 > 9000", "00B0 0000 02 > 01029000")
	after := c.Counts()
	if after.APDUs-before.APDUs != 2 || after.In-before.In != 13 || after.Out-before.Out != 6 ||
		after.Written-before.Written != 3 || after.Read-before.Read != 2 {
		t.Fatalf("%+v became %+v", before, after)
	}
}

// TestPlug speaks vpcd's side of the protocol.
func TestPlug(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := newCard(t, virtual.Options{})
	plug, err := c.Insert(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	reader, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	send := func(message ...byte) {
		if _, err := reader.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
			t.Fatal(err)
		}
	}
	receive := func(want []byte) {
		got := make([]byte, 2+len(want))
		if _, err := io.ReadFull(reader, got); err != nil || !bytes.Equal(got[2:], want) {
			t.Fatalf("got %x, %v, want %x", got, err, want)
		}
	}
	send(1)
	send(4)
	receive(c.ATR())
	send(0, 0xA4, 0, 0x0C, 2, 0x3F, 0)
	receive([]byte{0x90, 0x00})
	send(2)
	send(0, 0xB0, 0, 0, 1)
	receive([]byte{0x69, 0x86})
	plug.Pull()
	if _, err := reader.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("after the pull: %v", err)
	}
	if err := plug.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestDeadAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if _, err := newCard(t, virtual.Options{}).Insert(t.Context(), listener.Addr().String()); err == nil {
		t.Fatal("inserted into a reader that is not there")
	}
}

func TestBadFiles(t *testing.T) {
	for name, files := range map[string][]*virtual.File{
		"twice":     {{FID: 1}, {FID: 1}},
		"both":      {{FID: 1, Dir: true, Data: []byte{1}}},
		"long name": {{FID: 1, Dir: true, Name: make([]byte, 17)}},
	} {
		if _, err := virtual.New(virtual.Options{Files: files}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzProcess gives the card any sequence of commands, each with its length in
// front. It must answer all, stay within its memory and be a whole card after.
func FuzzProcess(f *testing.F) {
	f.Add([]byte("\x05\x00\xB0\x00\x00\x01\x07\x00\xA4\x00\x0C\x02\x3F\x00"))
	f.Add([]byte("\x12\x00\xE0\x00\x00\x0D\x62\x0B\x80\x02\x00\x10\x82\x01\x01\x83\x02\x01\x01\x08\x00\xD6\x00\x00\x03\x01\x02\x03"))
	f.Add([]byte("\x13\x00\xE0\x00\x00\x0E\x62\x0C\x82\x01\x38\x83\x02\x20\x00\x84\x03\xF0\xAA\xBB\x04\x00\xE4\x00\x00"))
	f.Fuzz(func(t *testing.T, script []byte) {
		const capacity = 4096
		c, err := virtual.New(virtual.Options{Capacity: capacity})
		if err != nil {
			t.Fatal(err)
		}
		for len(script) > 0 {
			n := min(int(script[0]), len(script)-1)
			answer, err := c.Transmit(t.Context(), script[1:1+n])
			if err != nil || len(answer) < 2 {
				t.Fatalf("%x gives %x, %v", script[1:1+n], answer, err)
			}
			script = script[1+n:]
		}
		if _, err := virtual.New(virtual.Options{Capacity: capacity, Files: c.Files()}); err != nil {
			t.Fatalf("commands made a card that cannot be: %v", err)
		}
	})
}
