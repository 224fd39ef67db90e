package config

import (
	"fmt"
	"slices"
	"time"
)

// The functions of the device that the card can keep on.
const (
	FunctionUnits    = "units"    // the units that bind to reprovision-authorized.target
	FunctionSessions = "sessions" // the screens of all who are logged in
)

// Authorization says what of the device the card in its owner's pocket keeps on
// (paragraph 29).
type Authorization struct {
	Functions []string `toml:"functions"` // of those above; none: the card governs nothing
	Heartbeat Duration `toml:"heartbeat"` // between two challenges to the card
	Grace     Duration `toml:"grace"`     // after the last one that it answered
	RunDir    string   `toml:"run_dir"`   // goes with the boot; only root writes there
}

// Governs tells whether the card keeps that function on.
func (a Authorization) Governs(function string) bool { return slices.Contains(a.Functions, function) }

// Governing tells whether the card keeps anything on.
func (a Authorization) Governing() bool { return len(a.Functions) > 0 }

// defaultAuthorization governs nothing.
func defaultAuthorization() Authorization {
	return Authorization{
		Functions: []string{}, Heartbeat: Duration{10 * time.Second}, Grace: Duration{30 * time.Second}, RunDir: "/run/reprovision",
	}
}

func (a Authorization) check() *Error {
	for i, f := range a.Functions {
		if err := oneOf("authorization.functions", f, FunctionUnits, FunctionSessions); err != nil {
			return err
		}
		if slices.Contains(a.Functions[:i], f) {
			return &Error{Key: "authorization.functions", Why: fmt.Sprintf("%q is there twice", f)}
		}
	}
	return first(
		within("authorization.heartbeat", a.Heartbeat, 100*time.Millisecond, time.Hour),
		within("authorization.grace", a.Grace, 2*a.Heartbeat.Duration, 24*time.Hour), // one heartbeat may be lost
		checkDir("authorization.run_dir", a.RunDir),
	)
}
