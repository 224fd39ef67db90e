package userdata_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/userdata"
)

func TestParseName(t *testing.T) {
	long := strings.Repeat("a", 256)
	for _, c := range []struct {
		in string
		ok bool
	}{
		{"keys", true},
		{"keys/id_ed25519", true},
		{"service-books/a/b/..c", true},
		{"keys/with\nnewline", true},
		{"keys/\xff\xfe", true},
		{"", false},
		{"/etc/passwd", false},
		{"keys/", false},
		{"keys//a", false},
		{"keys/.", false},
		{"keys/../etc", false},
		{"../keys", false},
		{"keys/a/../../b", false},
		{"keys/\x00", false},
		{"Keys/a", false},
		{"-keys/a", false},
		{"keys/" + long, false},
		{"keys/" + strings.Repeat("a/", 2100) + "a", false},
	} {
		n, err := userdata.ParseName(c.in)
		if (err == nil) != c.ok {
			t.Errorf("ParseName(%.40q): error %v, want ok %v", c.in, err, c.ok)
		}
		if err != nil && !errors.Is(err, userdata.ErrBadName) {
			t.Errorf("ParseName(%.40q): %v does not wrap ErrBadName", c.in, err)
		}
		if err == nil && string(n) != c.in {
			t.Errorf("ParseName(%q) = %q", c.in, n)
		}
	}
}

func TestNameParts(t *testing.T) {
	n := userdata.Name("keys/ssh/id")
	if n.Root() != "keys" || n.Rel() != "ssh/id" || n.Parent() != "keys/ssh" || n.IsRoot() {
		t.Errorf("parts of %q: %q %q %q %v", n, n.Root(), n.Rel(), n.Parent(), n.IsRoot())
	}
	root := userdata.Name("keys")
	if root.Rel() != "." || root.Parent() != root || !root.IsRoot() {
		t.Errorf("parts of %q: %q %q %v", root, root.Rel(), root.Parent(), root.IsRoot())
	}
	if !n.Below("keys/ssh") || !n.Below("keys") || n.Below("keys/ss") || n.Below("key") || !n.Below(n) {
		t.Error("Below does not follow components")
	}
}

func TestIsTemp(t *testing.T) {
	for name, want := range map[string]bool{
		userdata.TempPrefix + "0123456789abcdef":       true,
		userdata.TempPrefix + "ffffffffffffffff":       true,
		userdata.TempPrefix + "0123456789ABCDEF":       false,
		userdata.TempPrefix + "0123456789abcde":        false,
		userdata.TempPrefix + "0123456789abcdef0":      false,
		userdata.TempPrefix + "01234567g9abcdef":       false,
		userdata.TempPrefix + "notes":                  false,
		userdata.TempPrefix:                            false,
		"x" + userdata.TempPrefix + "0123456789abcdef": false,
		"0123456789abcdef":                             false,
		"":                                             false,
	} {
		if got := userdata.IsTemp(name); got != want {
			t.Errorf("IsTemp(%q) = %v", name, got)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"keys/a", "../x", "keys/..", "keys/a/./b", "k/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := userdata.ParseName(s)
		if err != nil {
			return
		}
		for _, part := range strings.Split(string(n), "/") {
			if part == "" || part == "." || part == ".." || strings.ContainsRune(part, 0) {
				t.Fatalf("%q passed with component %q", s, part)
			}
		}
		if strings.HasPrefix(string(n), "/") {
			t.Fatalf("%q is absolute", n)
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[2J\x07")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range userdata.Printable(s) {
			if r < 0x20 || r == 0x7f || r >= 0x80 && r <= 0x9f {
				t.Fatalf("Printable(%q) lets %q through", s, r)
			}
		}
	})
}
