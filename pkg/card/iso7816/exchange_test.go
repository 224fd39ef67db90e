package iso7816_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// script is a card of which every command and answer is known beforehand.
type script struct {
	t     *testing.T
	lines []string // "command>answer", in hexadecimal
}

func (s *script) Transmit(_ context.Context, apdu []byte) ([]byte, error) {
	if len(s.lines) == 0 {
		s.t.Fatalf("unexpected command %X", apdu)
	}
	command, answer, _ := strings.Cut(s.lines[0], ">")
	s.lines = s.lines[1:]
	if got := strings.ToUpper(hex.EncodeToString(apdu)); got != command {
		s.t.Fatalf("got command %s, want %s", got, command)
	}
	b, err := hex.DecodeString(answer)
	if err != nil {
		s.t.Fatal(err)
	}
	return b, nil
}

// TestExchange follows the standard's examples of what a card may answer.
func TestExchange(t *testing.T) {
	read := iso7816.Command{INS: 0xB0, Ne: 4}
	get := iso7816.Command{INS: 0xCB, Data: []byte{1}, Ne: 256}
	for name, test := range map[string]struct {
		command iso7816.Command
		t0      bool
		lines   []string
		data    string
		sw      uint16
	}{
		"plain":            {read, false, []string{"00B0000004>010203049000"}, "01020304", 0x9000},
		"error":            {read, false, []string{"00B0000004>6A82"}, "", 0x6A82},
		"end of file":      {read, false, []string{"00B0000004>01026282"}, "0102", 0x6282},
		"wrong Le":         {read, false, []string{"00B0000004>6C02", "00B0000002>AABB9000"}, "AABB", 0x9000},
		"wrong Le twice":   {read, false, []string{"00B0000004>6C02", "00B0000002>6C03"}, "", 0x6C03},
		"more":             {read, false, []string{"00B0000004>AA6101", "00C0000001>BB9000"}, "AABB", 0x9000},
		"more and more":    {read, false, []string{"00B0000004>6102", "00C0000002>AABB6100", "00C0000000>CC9000"}, "AABBCC", 0x9000},
		"more, wrong Le":   {read, false, []string{"00B0000004>6105", "00C0000005>6C02", "00C0000002>AABB9000"}, "AABB", 0x9000},
		"case 4 over T=1":  {get, false, []string{"00CB0000010100>AA9000"}, "AA", 0x9000},
		"case 4 over T=0":  {get, true, []string{"00CB00000101>6101", "00C0000001>AA9000"}, "AA", 0x9000},
		"more, then error": {get, true, []string{"00CB00000101>6101", "00C0000001>6F00"}, "", 0x6F00},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{t, test.lines}
			r, err := iso7816.Link{Transmitter: s, T0: test.t0}.Exchange(t.Context(), test.command)
			if test.sw == 0x9000 && err != nil || test.sw != 0x9000 && !iso7816.IsStatus(err, test.sw) {
				t.Fatalf("got error %v", err)
			}
			if got := strings.ToUpper(hex.EncodeToString(r.Data)); got != test.data || len(s.lines) > 0 {
				t.Fatalf("got data %s, want %s; left: %v", got, test.data, s.lines)
			}
		})
	}
}

// endless answers every command with the same.
type endless []byte

func (e endless) Transmit(context.Context, []byte) ([]byte, error) { return e, nil }

func TestEndlessResponse(t *testing.T) {
	for name, answer := range map[string][]byte{"empty": {0x61, 0x00}, "full": append(make([]byte, 256), 0x61, 0)} {
		_, err := iso7816.Link{Transmitter: endless(answer)}.Exchange(t.Context(), iso7816.Command{INS: 0xB0, Ne: 256})
		if !errors.Is(err, iso7816.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, answer := range [][]byte{nil, {0x90}} {
		_, err := iso7816.Link{Transmitter: endless(answer)}.Exchange(t.Context(), iso7816.Command{INS: 0xB0, Ne: 1})
		if !errors.Is(err, iso7816.ErrMalformed) {
			t.Errorf("answer %x: %v", answer, err)
		}
	}
}

// TestLongCommands writes 1000 bytes by one UPDATE BINARY, chained and extended.
func TestLongCommands(t *testing.T) {
	for name, extended := range map[string]bool{"chained": false, "extended": true} {
		t.Run(name, func(t *testing.T) {
			c, err := virtual.New(virtual.Options{Files: []*virtual.File{{FID: 0x0101, Data: make([]byte, 2000)}}})
			if err != nil {
				t.Fatal(err)
			}
			link := iso7816.Link{Transmitter: c, Extended: extended}
			data := bytes.Repeat([]byte("0123456789"), 100)
			for _, command := range []iso7816.Command{
				{INS: 0xA4, P2: 0x0C, Data: []byte{1, 1}},
				{INS: 0xD6, P2: 7, Data: data},
			} {
				if _, err := link.Exchange(t.Context(), command); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(c.Files()[0].Data[7:1007], data) {
				t.Fatal("card holds something else")
			}
		})
	}
}

func TestChainRefused(t *testing.T) {
	_, err := iso7816.Link{Transmitter: endless{0x68, 0x84}}.Exchange(t.Context(), iso7816.Command{INS: 0xDB, Data: make([]byte, 300)})
	if !iso7816.IsStatus(err, iso7816.SWNoChaining) {
		t.Fatalf("got %v", err)
	}
}
