package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample() *league {
	return &league{tree: "a sample", away: map[string]string{"borg": "peer not installed"}, steps: []step{
		{what: "within", unit: "B", most: 300, ours: 178, peers: map[string]figure{"restic": {6400, true}}},
		{what: "beyond", unit: "B", most: 165e3, ours: 171.9e3, peers: map[string]figure{}},
		{what: "a ratio", most: 1.05, ours: 1.04},
	}}
}

func TestLeagueSaysWhoFallsShort(t *testing.T) {
	l := sample()
	if !l.missed() {
		t.Error("a row beyond its bar passes")
	}
	var out bytes.Buffer
	if err := l.print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range [][]string{{"178 B", "300 B", "pass", "6400 B", "peer not installed"}, {"171.9 kB", "FAIL"}, {"1.04", "pass"}} {
		for _, w := range want {
			if !strings.Contains(lines[i+1], w) {
				t.Errorf("line %q lacks %q", lines[i+1], w)
			}
		}
	}
	l.steps = l.steps[:1]
	if l.missed() {
		t.Error("a row within its bar fails")
	}
}

func TestLeagueIsWritten(t *testing.T) {
	dir := t.TempDir()
	if err := sample().write(dir); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(filepath.Join(dir, "bench.md"))
	if err != nil || !strings.Contains(string(md), "| beyond | 171.9 kB | 165.0 kB | FAIL |") {
		t.Errorf("%v: %s", err, md)
	}
	svg, err := os.Open(filepath.Join(dir, "bench.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	for d := xml.NewDecoder(svg); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
}
