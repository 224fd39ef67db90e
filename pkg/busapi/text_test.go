package busapi

import (
	"testing"
	"unicode/utf8"
)

func TestTextSurvivesTheBus(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "home.nmconnection", "home.nmconnection"},
		{"UTF-8", "Grüße/日本", "Grüße/日本"},
		{"Latin-1", "Gr\xfc\xdfe", "Gr\uEFFC\uEFDFe"},
		{"NUL", "a\x00b", "a\uEF00b"},
		{"replacement rune", "a\uFFFDb", "a\uFFFDb"},
		{"looks like an escape", "\uEFFC", "\uEFEE\uEFBF\uEFBC"},
		{"surrogate", "\xed\xa0\x80", "\uEFED\uEFA0\uEF80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := toBus(c.in)
			if got != c.want {
				t.Errorf("toBus(%q) = %q, want %q", c.in, got, c.want)
			}
			if back := fromBus(got); back != c.in {
				t.Errorf("fromBus(%q) = %q, want %q", got, back, c.in)
			}
		})
	}
}

// A name that a listing showed is the same name when a person gives it back.
func TestArgumentsFromAListing(t *testing.T) {
	for _, name := range []string{"Gr\xfc\xdfe", "plain", "\uEFFC"} {
		if got := fromBus(argToBus(toBus(name))); got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	}
	if got := fromBus(argToBus("Gr\xfc")); got != "Gr\xfc" {
		t.Errorf("raw bytes came back as %q", got)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "\xff", "\x00", "\uEF00", "\uEFFF\xee\xbc", "Grüße"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		on := toBus(s)
		if !utf8.ValidString(on) {
			t.Fatalf("toBus(%q) = %q is not UTF-8", s, on)
		}
		for i := range len(on) {
			if on[i] == 0 {
				t.Fatalf("toBus(%q) holds NUL", s)
			}
		}
		if back := fromBus(on); back != s {
			t.Fatalf("fromBus(toBus(%q)) = %q", s, back)
		}
		if back := fromBus(argToBus(on)); back != s {
			t.Fatalf("a listed name %q came back as %q", s, back)
		}
		if short := cut(on, 7); len(short) > 7 || !utf8.ValidString(short) {
			t.Fatalf("cut(%q, 7) = %q", on, short)
		}
		_ = fromBus(s) // anything may come from outside
	})
}

func TestPathElement(t *testing.T) {
	for in, want := range map[string]string{
		"0a9f": "0a9f", "": "_", "2026-01-02T03:04": "2026_2d01_2d02T03_3a04", "_": "_5f", "é/..": "_c3_a9_2f_2e_2e",
	} {
		if got := pathElement(in); got != want {
			t.Errorf("pathElement(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"00:1A:7D:DA:71:13": "00:1A:7D:DA:71:13",
		"00-1a-7d-da-71-13": "00:1A:7D:DA:71:13",
		"001a7dDA7113":      "00:1A:7D:DA:71:13",
		"":                  "", "00:1A:7D:DA:71": "", "00:1A:7D:DA:71:13:00": "", "00:1A-7D:DA:71:13": "",
		"0:01A:7D:DA:71:13": "", "00:1A:7D:DA:71:1G": "", "00.1A.7D.DA.71.13": "", "00:1A:7D:DA:71:13 ": "",
		"0a1A07D0DA0710130": "",
	} {
		got, err := ParseAddress(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseAddress(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("00:1A:7D:DA:71:13")
	f.Add("001a7dda7113")
	f.Add("\xff\xff:\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseAddress(s)
		if err != nil {
			return
		}
		if again, err := ParseAddress(got); err != nil || again != got || len(got) != 17 {
			t.Fatalf("ParseAddress(%q) = %q, and that gives %q, %v", s, got, again, err)
		}
	})
}
