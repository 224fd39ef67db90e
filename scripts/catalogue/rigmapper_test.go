package main

import (
	"strings"
	"testing"
)

// The table covers the whole medium, once, in the order of the sectors.
func TestMapperTable(t *testing.T) {
	m := &mapper{loop: "/dev/loopX", spots: []spot{
		{start: 0, length: block, target: unreadableSpot},
		{start: 4 * block, length: 2 * block, target: flakySpot},
		{start: 6 * block, length: block, target: wrongSpot},
	}}
	got, err := m.table()
	want := strings.Join([]string{
		"0 8 error",
		"8 24 linear /dev/loopX 8",
		"32 16 flakey /dev/loopX 32 1 2 1 error_reads",
		"48 8 flakey /dev/loopX 48 0 1 5 corrupt_bio_byte 33 r 1 0",
		"56 229320 linear /dev/loopX 56",
	}, "\n")
	if err != nil || got != want {
		t.Errorf("got\n%s\n(%v), want\n%s", got, err, want)
	}
	m.spots = append(m.spots, spot{start: 5 * block, length: block, target: unreadableSpot})
	if _, err := m.table(); err == nil {
		t.Error("two faults lie in one place")
	}
	m.spots = []spot{{0, imageSize, unreadableSpot}}
	if got, err := m.table(); err != nil || got != "0 229376 error" {
		t.Errorf("got %q (%v)", got, err)
	}
}
