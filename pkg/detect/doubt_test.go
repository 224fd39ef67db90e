package detect_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestDoubt: where a person or a program may have done it the damage is only suspected.
func TestDoubt(t *testing.T) {
	at := func(i int, with string) func(string) string {
		return func(s string) string { return s[:i] + with + s[i+len(with):] }
	}
	to := func(s string) func(string) string { return func(string) string { return s } }
	long := strings.Repeat("a line of a long text\n", 600)
	for what, c := range map[string]struct {
		name, before string
		how          func(string) string
		doubtful     bool // suspected, and not sure
		fine         bool // no damage at all
	}{
		"one control byte in a text":      {name: "notes.txt", how: at(300, "\x01"), doubtful: true},
		"one control byte in JSON":        {name: "set.json", how: at(60, "\x01"), doubtful: true},
		"one NUL in a keyfile's comment":  {name: "home.nmconnection", how: func(s string) string { return s + "#\x00\n" }, doubtful: true},
		"text becomes noise":              {name: "notes.txt", how: to(noise(t, 3000)), doubtful: true},
		"text becomes a few binary bytes": {name: "notes.txt", how: to("\x80\x04\x95\x02\x03\x00\x01\x0f\x10\x11\x12\x13\x14"), doubtful: true},
		"text becomes a program":          {name: "notes.txt", how: to("\x7fELF" + noise(t, 3000)), fine: true},
		"text is encrypted with age":      {name: "notes.txt", how: to("age-encryption.org/v1\n-> X25519 abc\n" + noise(t, 3000)), fine: true},
		"a record separator for a line":   {name: "notes.txt", how: func(s string) string { return strings.ReplaceAll(s, "\n", "\x00") }, doubtful: true},
		"JSON becomes noise":              {name: "set.json", how: to(noise(t, 3000))},
		"a keyfile becomes noise":         {name: "home.nmconnection", how: to(noise(t, 300))},
		"a block of noise in a text":      {name: "long.txt", before: long, how: at(1024, noise(t, 1024))},
		"a picture becomes noise":         {name: "picture.png", how: to(noise(t, 3000))},
		"a program becomes noise":         {name: "tool", before: "\x7fELF" + noise(t, 3000), how: to(noise(t, 3000))},
		"a program is cut short":          {name: "tool", before: "\x7fELF" + noise(t, 3000), how: func(s string) string { return s[:1000] }},
		"a program is built anew":         {name: "tool", before: "\x7fELF" + noise(t, 3000), how: to("\x7fELF" + noise(t, 2500)), fine: true},
	} {
		p := newKnowingPhone(t)
		if c.before != "" {
			for _, class := range userdata.Classes() {
				p.write(string(class)+"/"+c.name, c.before)
			}
			p.save()
		}
		p.change(c.name, c.how)
		report := p.judge()
		if len(report.Findings) != 4 {
			t.Errorf("%s: %d findings", what, len(report.Findings))
		}
		for _, f := range report.Findings {
			if f.Verdict.Damage() == c.fine || f.Suspected != c.doubtful {
				t.Errorf("%s: %+v", what, f)
			}
		}
	}
}

// TestEmptied: a service book or key of which an empty file is none is lost, what a crash or
// a mass event has emptied is, too; for the rest nobody can tell.
func TestEmptied(t *testing.T) {
	p := newKnowingPhone(t)
	for _, c := range userdata.Classes() {
		p.write(string(c)+"/known_hosts", "host.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5vjB1E0aQQC1bA3pSXLpDW1ZUhPVDSgWkNdrKxCqT5\n")
	}
	p.save()
	for _, name := range []string{"home.nmconnection", "notes.txt", "set.json", "known_hosts"} {
		p.change(name, func(string) string { return "" })
	}
	for _, f := range p.judge().Findings {
		invalid := strings.HasSuffix(string(f.Name), "nmconnection") || strings.HasSuffix(string(f.Name), "json")
		if f.Verdict != detect.Corrupted || f.Suspected == (f.Class.Critical() && invalid) {
			t.Errorf("%+v", f)
		}
	}
	last := p.look().Cache
	p.ref.Crashed = time.Now().Add(time.Hour).UnixNano()
	for _, f := range p.judge().Findings {
		if f.Suspected || !strings.Contains(f.Reason, "went down") && !strings.Contains(f.Reason, "no valid") {
			t.Errorf("after a crash: %+v", f)
		}
	}
	p.ref.Last = last
	for _, f := range p.judge().Findings {
		if strings.HasSuffix(string(f.Name), ".txt") && !f.Suspected {
			t.Errorf("seen empty before the crash: %+v", f)
		}
	}
	p.ref.Last, p.ref.Crashed = scan.Cache{}, time.Now().Add(-time.Hour).UnixNano()
	for _, f := range p.judge().Findings {
		if strings.HasSuffix(string(f.Name), ".txt") && !f.Suspected {
			t.Errorf("emptied after the crash: %+v", f)
		}
	}
}

func TestManyEmptied(t *testing.T) {
	p := newKnowingPhone(t)
	for i := range 30 {
		p.write(fmt.Sprintf("user-data/note-%d", i), fmt.Sprintf("note number %d\n", i))
	}
	p.save()
	for i := range 28 {
		p.must(os.Truncate(p.path(fmt.Sprintf("user-data/note-%d", i)), 0))
	}
	for _, f := range p.judge().Findings {
		if f.Verdict != detect.Corrupted || f.Suspected || !strings.Contains(f.Reason, "emptied together with most") {
			t.Errorf("%+v", f)
		}
	}
}
