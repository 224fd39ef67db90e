package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tell makes the table of what the campaigns have seen.
func tell(ctx context.Context, s settings, skipped []string, all []*campaign) outcome {
	o := outcome{skipped: skipped, table: table{head: []string{"act", "program", "classes", "verdict", "undone"}}}
	versions := make(map[string]string)
	var acts, done, undone, damage int
	for _, c := range all {
		for _, deeds := range byAct(c.deeds) {
			row := row{deeds: deeds}
			o.misses = append(o.misses, row.misses()...)
			o.skipped = append(o.skipped, row.skips()...)
			if s.verbose {
				row.explain(s)
			}
			if len(row.done()) == 0 {
				continue
			}
			acts, done = acts+1, done+len(row.done())
			undone, damage = undone+row.undone(), damage+row.damage()
			o.table.add(deeds[0].act.name, version(ctx, versions, deeds[0].act.program), row.classes(), row.verdicts(), fmt.Sprint(row.undone()))
		}
		o.misses = append(o.misses, c.wrong...)
	}
	o.summary = append(o.summary, fmt.Sprintf("%d legitimate acts, %d with each class counted: %d taken for damage, %d undone", acts, done, damage, undone))
	return o
}

// byAct puts the deeds of one act together.
func byAct(deeds []*deed) [][]*deed {
	var all [][]*deed
	for i, d := range deeds {
		if i == 0 || deeds[i-1].act.name != d.act.name {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], d)
	}
	return all
}

// row is an act in all its classes.
type row struct{ deeds []*deed }

// done are the deeds that could be done.
func (r row) done() (done []*deed) {
	for _, d := range r.deeds {
		if !d.idle() {
			done = append(done, d)
		}
	}
	return done
}

func (r row) skips() (all []string) {
	for _, d := range r.deeds {
		if d.skipped != nil {
			all = append(all, fmt.Sprintf("%s: %v", d, d.skipped))
		}
	}
	return all
}

func (r row) misses() (all []string) {
	for _, d := range r.deeds {
		switch {
		case d.failed != nil:
			all = append(all, fmt.Sprintf("%s could not be done: %v%s", d, d.failed, d.tales()))
		case len(d.undone) > 0:
			all = append(all, fmt.Sprintf("%s was undone: %s%s", d, strings.Join(head(d.undone, 3), "; "), d.tales()))
		case len(d.told) > 0:
			all = append(all, fmt.Sprintf("%s was taken for damage%s", d, d.tales()))
		}
	}
	return all
}

// tales are the verdicts of damage on the deed's files.
func (d *deed) tales() string {
	var all []string
	for _, f := range d.told {
		all = append(all, fmt.Sprintf("%s %s, %s", filepath.Base(f.Path), f.Verdict, f.Reason))
	}
	slices.Sort(all)
	if all = head(slices.Compact(all), 4); len(all) == 0 {
		return ""
	}
	return " [" + strings.Join(all, "; ") + "]"
}

// head is the first n of some lines, and how many more there are.
func head(all []string, n int) []string {
	if len(all) <= n {
		return all
	}
	return append(all[:n:n], fmt.Sprintf("%d more", len(all)-n))
}

func (r row) undone() (n int) {
	for _, d := range r.done() {
		if len(d.undone) > 0 {
			n++
		}
	}
	return n
}

func (r row) damage() (n int) {
	for _, d := range r.done() {
		if len(d.told) > 0 {
			n++
		}
	}
	return n
}

func (r row) classes() string {
	if len(r.done()) == len(allClasses()) {
		return "all"
	}
	var names []string
	for _, d := range r.done() {
		names = append(names, d.class)
	}
	return strings.Join(names, ", ")
}

// verdicts are those that were given, the benign ones first.
func (r row) verdicts() string {
	var all []string
	for _, d := range r.done() {
		found := d.found.Verdict
		if found == "" {
			found = "intact"
		}
		all = append(all, found)
		for _, f := range d.told {
			all = append(all, f.Verdict+"!")
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// explain tells what was found for each class.
func (r row) explain(s settings) {
	for _, d := range r.deeds {
		switch {
		case d.skipped != nil:
			s.logf("%s: %v", d, d.skipped)
		case d.failed != nil:
			s.logf("%s: %v", d, d.failed)
		case d.found.Verdict == "":
			s.logf("%s: intact%s", d, d.tales())
		default:
			rel, _ := filepath.Rel(d.dir, d.found.Path)
			s.logf("%s: %s %s, %s%s", d, rel, d.found.Verdict, d.found.Reason, d.tales())
		}
	}
}

// version is a program's name and version, as it says itself.
func version(ctx context.Context, known map[string]string, program string) string {
	if v, done := known[program]; done {
		return v
	}
	args := []string{program, "--version"}
	switch program {
	case "unzip", "zip", "busybox", "awk", "ssh-keygen", "wg-quick", "dconf", "wpa_cli", "openssl":
		args = map[string][]string{
			"unzip": {"unzip", "-v"}, "zip": {"zip", "-v"}, "busybox": {"busybox"}, "awk": {"awk", "-Wversion"}, "ssh-keygen": {"ssh", "-V"},
			"wg-quick": {"wg", "--version"}, "dconf": {"dpkg-query", "-Wf${Version}", "dconf-cli"}, "wpa_cli": {"wpa_cli", "-v"}, "openssl": {"openssl", "version"},
		}[program]
	case "scrctl", "go image":
		return program
	}
	name := program
	if path, err := where(args[0]); err == nil {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, args[1:]...)
		cmd.WaitDelay = time.Second
		out, _ := cmd.CombinedOutput()
		if v := regexp.MustCompile(`\d+(\.\d+)+[a-z0-9.-]*`).Find(out); v != nil {
			name += " " + string(v)
		}
	}
	known[program] = name
	return name
}
