package virtual_test

import (
	"bytes"
	"crypto/des"
	"encoding/hex"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/card/virtual"
)

const selectPIV = "00A4 0400 09 A00000030800001000 00 > 61114F0600001000010079074F05A0000003089000"

// ask sends one command and gives the answer, in hexadecimal without the status.
func ask(t *testing.T, c *virtual.Card, command string) string {
	t.Helper()
	apdu, err := hex.DecodeString(strings.ReplaceAll(command, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Transmit(t.Context(), apdu)
	if err != nil || !bytes.HasSuffix(answer, []byte{0x90, 0x00}) {
		t.Fatalf("%s gives %x, %v", command, answer, err)
	}
	return hex.EncodeToString(answer[:len(answer)-2])
}

// showKey is external authentication by the management key that everybody knows.
func showKey(t *testing.T, c *virtual.Card) {
	t.Helper()
	block, err := des.NewTripleDESCipher(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 3))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := hex.DecodeString(ask(t, c, "0087 039B 04 7C028100 00"))
	if err != nil || len(answer) != 12 {
		t.Fatalf("challenge %x, %v", answer, err)
	}
	block.Encrypt(answer[4:], answer[4:])
	talk(t, c, "0087 039B 0C 7C0A8208"+hex.EncodeToString(answer[4:])+" > 9000")
}

func TestPIVObjects(t *testing.T) {
	c := newCard(t, virtual.Options{PIV: &virtual.PIV{Objects: map[uint32][]byte{0x5FC102: {1, 2, 3}, 0x5FC109: {4}}}})
	talk(t, c, "00CB 3FFF 05 5C035FC102 00 > 6D00", // not selected
		"00A4 040C 0C F072657072 6F766973696F6E > 6A82", "00A4 000C 02 3F00 > 6A82", selectPIV,
		"00CB 3FFF 05 5C035FC102 00 > 53030102039000", "00CB 3FFF 05 5C035FC10D 00 > 6A82",
		"00CB 3FFF 05 5C035FFF01 00 > 6A81", // not in the standard's list
		"00CB 3FFF 05 5C035FC109 00 > 6982", // wants the PIN
		"00CB 0000 05 5C035FC102 00 > 6A86", "00CB 3FFF 03 5C0101 00 > 6A81", "00CB 3FFF 02 5C02 00 > 6A80",
		"00CB 3FFF 03 5C017E 00 > 7E124F0BA0000003080000100001005F2F0240009000",
		"0020 0080 08 313233343536FFFF > 9000", "00CB 3FFF 05 5C035FC109 00 > 5301049000",
		"00DB 3FFF 08 5C035FC10D 530109 > 6982")
	showKey(t, c)
	talk(t, c, "00DB 3FFF 08 5C035FC10D 530109 > 9000", "00CB 3FFF 05 5C035FC10D 00 > 5301099000",
		"10DB 3FFF 06 5C035FC10E53 > 9000", "00DB 3FFF 03 020708 > 9000", "00CB 3FFF 05 5C035FC10E 00 > 530207089000",
		"00DB 3FFF 07 5C035FC10D 5300 > 9000", "00CB 3FFF 05 5C035FC10D 00 > 6A82",
		"00DB 3FFF 08 5C035FFF01 530109 > 6A81", "00DB 3FFF 08 5C035FC10D 700109 > 6A80",
		selectPIV, "00DB 3FFF 08 5C035FC10D 530109 > 6982") // forgets the key
	if got := c.Objects(); len(got) != 3 || !bytes.Equal(got[0x5FC10E], []byte{7, 8}) {
		t.Fatalf("objects %v", got)
	}
}

func TestPIVQuirks(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 300)
	quirk := func(q virtual.Quirks) *virtual.Card {
		c := newCard(t, virtual.Options{Capacity: 400, Quirks: q, PIV: &virtual.PIV{Objects: map[uint32][]byte{0x5FC102: long}}})
		talk(t, c, selectPIV)
		return c
	}
	first := "5382012C" + strings.Repeat("07", 252)
	get := "00CB 3FFF 05 5C035FC102 00 > "
	talk(t, quirk(virtual.Quirks{}), get+first+"6130", "00C0 0000 30 > "+strings.Repeat("07", 48)+"9000")
	talk(t, quirk(virtual.Quirks{CutShort: true}), get+first+"9000")
	talk(t, quirk(virtual.Quirks{EmptyObjects: true}), "00CB 3FFF 05 5C035FC10D 00 > 53009000")
	talk(t, quirk(virtual.Quirks{NoMutual: true}), "0087 039B 04 7C028000 00 > 6A80")
	talk(t, quirk(virtual.Quirks{NoMetadata: true}), "00F7 009B 00 > 6D00")
	talk(t, quirk(virtual.Quirks{}), "00F7 009B 00 > 010103020200019000", "00F7 009E 00 > 6A88", "0087 0A9B 04 7C028000 00 > 6A86")
	c := quirk(virtual.Quirks{LongLengths: true, MaxObject: 4, NoEmptyValue: true})
	showKey(t, c)
	talk(t, c, "00DB 3FFF 0B 5C035FC10D 530401020304 > 9000", "00CB 3FFF 05 5C035FC10D 00 > 53820004010203049000",
		"00DB 3FFF 0C 5C035FC10D 53050102030405 > 6700", "00DB 3FFF 07 5C035FC10D 5300 > 6A80")
	c = quirk(virtual.Quirks{OutOfPlace: true})
	showKey(t, c)
	put := "00DB 3FFF 35 5C035FC10D 532E" + strings.Repeat("05", 46) + " > "
	talk(t, c, put+"9000", put+"6A84") // no room for both at once
}

// TestPIVTorn checks what a pulled card holds of an object.
func TestPIVTorn(t *testing.T) {
	for action, want := range map[virtual.Action][]byte{
		virtual.PullFirst: {9}, virtual.PullAfter: {1, 2, 3, 4}, virtual.Tear: {1, 2}, virtual.Wipe: nil,
	} {
		c := newCard(t, virtual.Options{PIV: &virtual.PIV{Objects: map[uint32][]byte{0x5FC10D: {9}}}})
		talk(t, c, selectPIV)
		showKey(t, c)
		c.SetHook(virtual.FaultAt(1, action))
		put, err := hex.DecodeString("00DB3FFF0B5C035FC10D530401020304")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Transmit(t.Context(), put); err == nil {
			t.Fatal("the card answers")
		}
		if got := c.Objects()[0x5FC10D]; !bytes.Equal(got, want) {
			t.Errorf("action %d leaves %x", action, got)
		}
	}
}

// TestPIVImage checks that objects, keys and tries survive a restart.
func TestPIVImage(t *testing.T) {
	options := virtual.Options{Image: filepath.Join(t.TempDir(), "card.json"), PIV: &virtual.PIV{CardKey: true}}
	first := newCard(t, options)
	talk(t, first, selectPIV, "0020 0080 08 393939393939FFFF > 63C2")
	showKey(t, first)
	talk(t, first, "00DB 3FFF 08 5C035FC10D 530109 > 9000")
	public := ask(t, first, "00F7 009E 00")
	second := newCard(t, options)
	if !reflect.DeepEqual(second.Objects(), first.Objects()) {
		t.Fatalf("objects %v", second.Objects())
	}
	talk(t, second, selectPIV, "0020 0080 > 63C2")
	if ask(t, second, "00F7 009E 00") != public {
		t.Fatal("another key")
	}
	options.PIV = nil
	if _, err := virtual.New(options); err == nil {
		t.Fatal("a PIV card was taken for one with a file system")
	}
	if _, err := virtual.New(virtual.Options{PIV: &virtual.PIV{ManagementKey: []byte("short")}}); err == nil {
		t.Fatal("a management key of 5 bytes was taken")
	}
}

// FuzzPIV gives a PIV card any sequence of commands, each with its length in
// front, after it was selected and shown the management key.
func FuzzPIV(f *testing.F) {
	f.Add([]byte("\x0D\x00\xDB\x3F\xFF\x08\x5C\x03\x5F\xC1\x0D\x53\x01\x09\x0B\x00\xCB\x3F\xFF\x05\x5C\x03\x5F\xC1\x0D\x00"))
	f.Add([]byte("\x0B\x00\x87\x03\x9B\x06\x7C\x04\x80\x00\x81\x00\x00\x0B\x00\x47\x00\x9E\x05\xAC\x03\x80\x01\x11\x00"))
	f.Add([]byte("\x0D\x00\x20\x00\x80\x08123456\xFF\xFF\x06\x00\x2C\x00\x80\x01\x31"))
	f.Fuzz(func(t *testing.T, script []byte) {
		const capacity = 1000
		c := newCard(t, virtual.Options{Capacity: capacity, PIV: &virtual.PIV{}})
		talk(t, c, selectPIV)
		showKey(t, c)
		for len(script) > 0 {
			n := min(int(script[0]), len(script)-1)
			answer, err := c.Transmit(t.Context(), script[1:1+n])
			if err != nil || len(answer) < 2 {
				t.Fatalf("%x gives %x, %v", script[1:1+n], answer, err)
			}
			script = script[1+n:]
		}
		used := 0
		for _, contents := range c.Objects() {
			used += len(contents)
		}
		if used > capacity {
			t.Fatalf("%d bytes on a card of %d", used, capacity)
		}
	})
}
