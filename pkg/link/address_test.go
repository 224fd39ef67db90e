package link_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/link"
)

func TestParseAddress(t *testing.T) {
	want := link.Address{0x00, 0x1a, 0x7d, 0xda, 0x71, 0x0f}
	for _, s := range []string{"00:1A:7D:DA:71:0F", "00:1a:7d:da:71:0f", "00-1A-7D-DA-71-0F"} {
		got, err := link.ParseAddress(s)
		if err != nil || got != want {
			t.Errorf("ParseAddress(%q) = %v, %v", s, got, err)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for _, s := range []string{
		"", "00", "001A7DDA710F", "00:1A:7D:DA:71:0", "00:1A:7D:DA:71:0FF", "00:1A:7D:DA:71-0F",
		"0G:1A:7D:DA:71:0F", " 0:1A:7D:DA:71:0F", "00:1A:7D:DA:71:0F\n", "00:1A:7D:DA:710:F",
		"00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF", "00.1A.7D.DA.71.0F", ":::::::::::::::::",
	} {
		if a, err := link.ParseAddress(s); !errors.Is(err, link.ErrBadAddress) {
			t.Errorf("ParseAddress(%q) = %v, %v; want ErrBadAddress", s, a, err)
		}
	}
}

func TestAddressText(t *testing.T) {
	var v struct{ Reader link.Address }
	if err := json.Unmarshal([]byte(`{"Reader":"00:1a:7d:da:71:0f"}`), &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil || string(out) != `{"Reader":"00:1A:7D:DA:71:0F"}` {
		t.Errorf("got %s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"Reader":"x"}`), &v); !errors.Is(err, link.ErrBadAddress) {
		t.Errorf("bad text: %v", err)
	}
	if !(link.Address{}).IsZero() || v.Reader.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("00:1A:7D:DA:71:0F")
	f.Add("00-1a-7d-da-71-0f")
	f.Add("\x00:::::::::::::::")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := link.ParseAddress(s)
		if err != nil {
			return
		}
		if got := strings.ReplaceAll(strings.ToUpper(s), "-", ":"); a.String() != got {
			t.Errorf("%q became %s", s, a)
		}
	})
}
