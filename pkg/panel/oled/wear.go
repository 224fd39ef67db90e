package oled

import (
	"time"

	"github.com/reprovision/reprovision/pkg/panel"
)

// Level is how bright the display is.
type Level uint8

// The levels.
const (
	Bright Level = iota
	Dimmed
	Dark
)

// Wear says when a display is spared. Zero times are never.
type Wear struct {
	Dim, Off time.Duration // since the view is shown
}

// What its owners should know is shown for glimpse of each round where the display is
// off otherwise.
const (
	round   = time.Minute
	glimpse = 10 * time.Second
)

// At is the level of a view that has been shown for that long, and when to look again; 0
// for never. What has to be entered elsewhere, and data that move, are never spared.
func (w Wear) At(v panel.View, shown time.Duration) (l Level, next time.Duration) {
	if v.State == panel.Address || v.State == panel.Passcode || v.State == panel.Progress {
		return Bright, 0
	}
	if w.Off > 0 && shown >= w.Off {
		return w.off(v, shown-w.Off)
	}
	if w.Off > 0 {
		next = w.Off - shown
	}
	if w.Dim > 0 && shown >= w.Dim {
		return Dimmed, next
	}
	if w.Dim > 0 && (next == 0 || w.Dim-shown < next) {
		next = w.Dim - shown
	}
	return Bright, next
}

// off is about a display that has been off, but for glimpses, for that long.
func (w Wear) off(v panel.View, off time.Duration) (Level, time.Duration) {
	if v.State != panel.Alert && v.Notice == "" {
		return Dark, 0
	}
	into := off % round
	if dark := round - glimpse; into < dark {
		return Dark, dark - into
	}
	return Dimmed, round - into
}
