package userdata_test

import (
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/userdata"
)

func phone(t *testing.T) userdata.Space {
	t.Helper()
	s, err := userdata.NewSpace([]userdata.Root{
		{Name: "notes", Class: userdata.UserData, Path: "/home/p/notes/"},
		{Name: "ssh", Class: userdata.Keys, Path: "/home/p/.ssh"},
		{Name: "nm", Class: userdata.ServiceBooks, Path: "/etc/nm"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSpaceIsInOrderOfARestore(t *testing.T) {
	var order []string
	for _, r := range phone(t).Roots() {
		order = append(order, r.Name)
	}
	if got := strings.Join(order, " "); got != "nm ssh notes" {
		t.Errorf("order %q", got)
	}
}

func TestSpaceRefuses(t *testing.T) {
	good := userdata.Root{Name: "a", Class: userdata.Keys, Path: "/a"}
	for why, roots := range map[string][]userdata.Root{
		"twice":        {good, {Name: "a", Class: userdata.Keys, Path: "/b"}},
		"overlap":      {good, {Name: "b", Class: userdata.Keys, Path: "/a/b"}},
		"around":       {{Name: "b", Class: userdata.Keys, Path: "/x/y"}, {Name: "c", Class: userdata.Keys, Path: "/x"}},
		"relative":     {{Name: "a", Class: userdata.Keys, Path: "a"}},
		"bad class":    {{Name: "a", Class: "secrets", Path: "/a"}},
		"bad name":     {{Name: "A b", Class: userdata.Keys, Path: "/a"}},
		"the whole fs": {{Name: "a", Class: userdata.Keys, Path: "/"}, {Name: "b", Class: userdata.Keys, Path: "/b"}},
	} {
		if _, err := userdata.NewSpace(roots); err == nil {
			t.Errorf("%s: taken", why)
		}
	}
}

func TestLocate(t *testing.T) {
	s := phone(t)
	for in, want := range map[string]userdata.Name{
		"/home/p/.ssh/id":         "ssh/id",
		"/home/p/.ssh":            "ssh",
		"/home/p/.ssh/../.ssh/x/": "ssh/x",
		"ssh/id":                  "ssh/id",
		"nm":                      "nm",
	} {
		if got, err := s.Locate(in); err != nil || got != want {
			t.Errorf("Locate(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"/home/p/.sshx/id", "/etc/passwd", "other/x", "ssh/../nm", ""} {
		if got, err := s.Locate(in); err == nil {
			t.Errorf("Locate(%q) = %q", in, got)
		}
	}
}

func TestPathAndClassOf(t *testing.T) {
	s := phone(t)
	if p := s.Path("ssh/a/b"); p != "/home/p/.ssh/a/b" {
		t.Error(p)
	}
	if c, ok := s.ClassOf("nm/x"); !ok || c != userdata.ServiceBooks {
		t.Error(c, ok)
	}
	if _, ok := s.ClassOf("gone/x"); ok {
		t.Error("a root that is not there has a class")
	}
}
