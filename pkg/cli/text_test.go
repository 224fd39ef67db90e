package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1234567: "1.2 MB", 999949: "999.9 kB", 999950: "1.0 MB",
		5e9: "5.0 GB", 7e12: "7.0 TB", 1 << 62: "4611686.0 TB", -1: "-1 B",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "just now", 0: "just now", 12 * time.Second: "12 s ago", 3 * time.Minute: "3 min ago",
		47 * time.Hour: "47 h ago", 72 * time.Hour: "3 days ago",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %q, want %q", d, got, want)
		}
	}
	a := &app{now: func() time.Time { return time.Unix(1000, 0) }}
	if got := a.since(0) + ", " + a.since(940); got != "never, 1 min ago" {
		t.Errorf("got %q", got)
	}
}

func TestAlignment(t *testing.T) {
	p := &printer{color: true}
	p.row("A", "B")
	p.row(p.paint(red, "日本"), "x")
	p.line("between")
	p.row("long cell", "y", "")
	p.align()
	if got, want := p.text.String(), "A     B\n\x1b[31m日本\x1b[0m  x\nbetween\nlong cell  y  \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestResolvePath(t *testing.T) {
	cwd := t.TempDir()
	for _, dir := range []string{"dir", "keys"} {
		if err := os.Mkdir(filepath.Join(cwd, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(cwd, "link")); err != nil {
		t.Fatal(err)
	}
	here := func(rel string) string { return filepath.Join(cwd, rel) }
	for arg, want := range map[string]string{
		"/etc/../x":              "/x",
		"./gone":                 here("gone"),
		"../x":                   filepath.Join(filepath.Dir(cwd), "x"),
		".":                      cwd,
		"dir":                    here("dir"),
		"link":                   here("link"),
		"dir/gone":               here("dir/gone"),
		"dir/gone/deep":          "dir/gone/deep", // its directory is not there, and it can be an item's name
		"keys/id":                here("keys/id"),
		"service-books/home":     "service-books/home",
		"service-books/":         "service-books",
		"preferences":            "preferences",
		"Upper/Case":             here("Upper/Case"),
		"user-data/Gr\uEFFC\xfc": "user-data/Gr\xfc\xfc",
	} {
		if got, err := resolvePath(arg, cwd); err != nil || got != want {
			t.Errorf("resolvePath(%q) = %q, %v, want %q", arg, got, err, want)
		}
	}
	if _, err := resolvePath("", cwd); exitCode(err) != exitUsage {
		t.Errorf("the empty path gave %v", err)
	}
	if got, err := resolvePath("keys/id", ""); err != nil || got != "keys/id" {
		t.Errorf("without a working directory: %q, %v", got, err)
	}
	if _, err := resolvePath("./x", ""); err == nil {
		t.Error("a path of no working directory was found")
	}
}

func FuzzResolvePath(f *testing.F) {
	for _, s := range []string{"/a", "./a", "keys/x", "..", "\xff", "\uEF00", "a/../../b", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		got, err := resolvePath(arg, "/nonexistent/dir")
		if err == nil && got == "" {
			t.Fatalf("resolvePath(%q) is empty", arg)
		}
	})
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"a", "\x1b[2J", "\u202e", "\xff", "\uEF1B", "\u0085\u2028", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range printable(s) {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar && !strings.Contains(s, "\uFFFD") {
				t.Fatalf("printable(%q) holds %U", s, r)
			}
		}
		if width(printable(s)) < 0 {
			t.Fatal("a negative width")
		}
	})
}

func FuzzInput(f *testing.F) {
	f.Add("123456\nrest")
	f.Add("\r\n")
	f.Add(strings.Repeat("x", maxLine+1))
	f.Fuzz(func(t *testing.T, s string) {
		line, err := newInput(strings.NewReader(s)).line(t.Context(), true)
		if err != nil {
			return
		}
		if want, _, _ := strings.Cut(s, "\n"); line != strings.TrimSpace(want) || len(line) > maxLine {
			t.Fatalf("the first line of %q is %q", s, line)
		}
	})
}
