package iso7816_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// TestCommandForms checks the seven forms of ISO/IEC 7816-4, 5.1, byte by byte.
func TestCommandForms(t *testing.T) {
	long := bytes.Repeat([]byte{0x55}, 256)
	for name, test := range map[string]struct {
		command iso7816.Command
		apdu    string
	}{
		"case 1":           {iso7816.Command{CLA: 0x80, INS: 1, P1: 2, P2: 3}, "80010203"},
		"case 2 short":     {iso7816.Command{INS: 0xB0, Ne: 255}, "00B00000FF"},
		"case 2 short max": {iso7816.Command{INS: 0xB0, Ne: 256}, "00B0000000"},
		"case 2 extended":  {iso7816.Command{INS: 0xB0, Ne: 257}, "00B00000000101"},
		"case 2 ext. max":  {iso7816.Command{INS: 0xB0, Ne: 65536}, "00B00000000000"},
		"case 3 short":     {iso7816.Command{INS: 0xA4, P1: 4, P2: 0x0C, Data: []byte{1, 2}}, "00A4040C020102"},
		"case 3 extended":  {iso7816.Command{INS: 0xD6, Data: long}, "00D60000000100" + strings.Repeat("55", 256)},
		"case 4 short":     {iso7816.Command{INS: 0xA4, Data: []byte{1}, Ne: 256}, "00A40000010100"},
		"case 4 extended":  {iso7816.Command{INS: 0xCB, Data: []byte{1}, Ne: 65536}, "00CB0000000001010000"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := test.command.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ToUpper(hex.EncodeToString(b)); got != test.apdu {
				t.Fatalf("got %s, want %s", got, test.apdu)
			}
			back, err := iso7816.ParseCommand(b)
			if err != nil || !reflect.DeepEqual(back, test.command) {
				t.Fatalf("parsed as %+v, %v", back, err)
			}
		})
	}
}

func TestCommandRefused(t *testing.T) {
	for _, apdu := range []string{"", "00A404", "00A40000020102030405", "00A400000201", "00D600000000", "00D6000000000201", "00D600000000020102030405"} {
		b, err := hex.DecodeString(apdu)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := iso7816.ParseCommand(b); !errors.Is(err, iso7816.ErrMalformed) {
			t.Errorf("%q parsed as %+v, %v", apdu, c, err)
		}
	}
	for _, c := range []iso7816.Command{{Data: make([]byte, 65536)}, {Ne: -1}, {Ne: 65537}} {
		if _, err := c.Encode(); !errors.Is(err, iso7816.ErrMalformed) {
			t.Errorf("%d bytes of data, Ne %d: %v", len(c.Data), c.Ne, err)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, seed := range []string{"80010203", "00B0000000", "00B00000000000", "00A4040C020102", "00CB0000000001010000"} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := iso7816.ParseCommand(b)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatalf("%x parses as %+v, which does not encode: %v", b, c, err)
		}
		back, err := iso7816.ParseCommand(again)
		if err != nil || back.Ne != c.Ne || !bytes.Equal(back.Data, c.Data) || back.INS != c.INS {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte{0x90, 0x00})
	f.Add([]byte{1, 2, 3, 0x61, 0x10})
	f.Add([]byte{0x90})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := iso7816.ParseResponse(b)
		if (err == nil) != (len(b) >= 2 && len(b) <= iso7816.MaxResponse+2) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err == nil && !bytes.Equal(r.Encode(), b) {
			t.Fatalf("%x became %x", b, r.Encode())
		}
		if iso7816.Meaning(r.SW) == "" {
			t.Fatalf("%04X has no meaning", r.SW)
		}
	})
}

func TestStatusError(t *testing.T) {
	for sw, text := range map[uint16]string{
		0x6A82: "file or application not found", 0x63C2: "warning, counter at 2", 0x6C10: "wrong Le, 16 bytes available",
		0x6105: "5 more bytes of response", 0x6FFF: "unknown", 0x6581: "memory failure",
	} {
		if got := (iso7816.StatusError{SW: sw}).Error(); !strings.HasSuffix(got, text) {
			t.Errorf("%04X: %q", sw, got)
		}
	}
	err := errors.Join(errors.New("cannot read"), iso7816.StatusError{SW: 0x6982})
	if !iso7816.IsStatus(err, 0x6A82, 0x6982) || iso7816.IsStatus(err, 0x6A82) || iso7816.IsStatus(nil, 0x9000) {
		t.Error("IsStatus does not tell status words apart")
	}
}
