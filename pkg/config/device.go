package config

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Where the device's daemon looks when nothing else is said.
const (
	DeviceFile  = "/etc/reprovision/reprovisiond.toml"
	DeviceState = "/var/lib/reprovision"
)

// Device is what reprovisiond is told.
type Device struct {
	Name     string `toml:"name"`      // shown at the reader; default the host name
	StateDir string `toml:"state_dir"` // outside the user-data space
	LogLevel string `toml:"log_level"` // debug, info, warn or error

	Link          DeviceLink    `toml:"link"`
	Backup        Backup        `toml:"backup"`
	Detect        Detect        `toml:"detect"`
	Reprovision   Reprovision   `toml:"reprovision"`
	Authorization Authorization `toml:"authorization"`
	Roots         []Root        `toml:"root"`
	Hooks         []Hook        `toml:"hook"`
}

// DeviceLink says how the reader is reached.
type DeviceLink struct {
	Kind     LinkKind `toml:"kind"`
	Adapter  string   `toml:"adapter"`   // of rfcomm: "hci1", its address, or "" for the first
	Path     string   `toml:"path"`      // of local: the socket
	RetryMin Duration `toml:"retry_min"` // first wait before a new attempt
	RetryMax Duration `toml:"retry_max"` // longest wait between attempts
}

// Backup says when the device backs up by itself, for as long as the owner has not
// said it (step 512).
type Backup struct {
	Every Duration `toml:"every"` // "0s": nothing is said, and the owner is asked
	Mode  string   `toml:"mode"`  // "full" or "incremental"
}

// Detect says when the device looks for damage.
type Detect struct {
	Settle     Duration `toml:"settle"`      // how long damage must last to be believed
	ScrubEvery Duration `toml:"scrub_every"` // a deep check of every byte; "0s" never
	ScrubRate  int64    `toml:"scrub_rate"`  // bytes a second; 0 unbounded
	Watch      string   `toml:"watch"`       // "auto", "fanotify", "inotify" or "off"
	// VerifyEvery is how often a sample of what lies at the reader is fetched, opened and
	// compared; "0s" never. VerifyBytes is about how many bytes that takes.
	VerifyEvery Duration `toml:"verify_every"`
	VerifyBytes int64    `toml:"verify_bytes"`
}

// Policy is what follows a finding of damage.
type Policy string

// The policies, per class.
const (
	Restore Policy = "restore" // by itself, without a question
	Ask     Policy = "ask"     // the owner confirms first (step 622)
	Report  Policy = "report"  // only say so
)

// Reprovision says what follows when data was erased or corrupted.
type Reprovision struct {
	ServiceBooks Policy `toml:"service-books"`
	Keys         Policy `toml:"keys"`
	Preferences  Policy `toml:"preferences"`
	UserData     Policy `toml:"user-data"`
	// Replacement is what a newly paired device without any data does when the
	// reader holds exactly one other device's (paragraph 38).
	Replacement    Policy   `toml:"replacement"`
	QuarantineKeep Duration `toml:"quarantine_keep"`
	QuarantineMax  int64    `toml:"quarantine_max"` // bytes
}

// For returns the policy for a class.
func (r Reprovision) For(c userdata.Class) Policy {
	switch c {
	case userdata.ServiceBooks:
		return r.ServiceBooks
	case userdata.Keys:
		return r.Keys
	case userdata.Preferences:
		return r.Preferences
	}
	return r.UserData
}

// Root is one directory of the user-data space.
type Root struct {
	Name  string `toml:"name"` // default the class
	Class string `toml:"class"`
	Path  string `toml:"path"`
}

// Hook is a command that makes the system take up what was restored.
type Hook struct {
	Class   string   `toml:"class"`   // run after this class was restored
	Command []string `toml:"command"` // program and arguments; no shell
	Timeout Duration `toml:"timeout"`
}

// DefaultDevice is what holds where the file says nothing.
func DefaultDevice() Device {
	return Device{
		StateDir: DeviceState,
		LogLevel: "info",
		Link: DeviceLink{
			Kind: RFCOMM, Path: "/run/scrd/reader.sock",
			RetryMin: Duration{time.Second}, RetryMax: Duration{5 * time.Minute},
		},
		Backup: Backup{Mode: "incremental"},
		Detect: Detect{
			Settle: Duration{500 * time.Millisecond}, ScrubEvery: Duration{24 * time.Hour},
			ScrubRate: 20 << 20, Watch: "auto", VerifyEvery: Duration{7 * 24 * time.Hour}, VerifyBytes: 4 << 20,
		},
		Reprovision: Reprovision{
			ServiceBooks: Restore, Keys: Restore, Preferences: Ask, UserData: Ask, Replacement: Ask,
			QuarantineKeep: Duration{30 * 24 * time.Hour}, QuarantineMax: 1 << 30,
		},
		Authorization: defaultAuthorization(),
	}
}

// LoadDevice reads and checks the device's settings. The default file may be
// missing; a file that was named must be there.
func LoadDevice(file string) (Device, error) {
	d := DefaultDevice()
	optional := file == ""
	if optional {
		file = DeviceFile
	}
	if err := load(file, &d, optional); err != nil {
		return Device{}, err
	}
	d.fill()
	if err := d.check(); err != nil {
		err.File = file
		return Device{}, err
	}
	return d, nil
}

func (d *Device) fill() {
	d.Name = orHostname(d.Name)
	for i := range d.Roots {
		if d.Roots[i].Name == "" {
			d.Roots[i].Name = d.Roots[i].Class
		}
	}
	for i := range d.Hooks {
		if d.Hooks[i].Timeout.Duration == 0 {
			d.Hooks[i].Timeout = Duration{30 * time.Second}
		}
	}
}

func (d Device) check() *Error {
	return first(
		checkName(d.Name),
		checkDir("state_dir", d.StateDir),
		oneOf("log_level", d.LogLevel, "debug", "info", "warn", "error"),
		checkLink(d.Link.Kind, d.Link.Adapter, d.Link.Path),
		within("link.retry_min", d.Link.RetryMin, time.Millisecond, time.Hour),
		within("link.retry_max", d.Link.RetryMax, d.Link.RetryMin.Duration, 24*time.Hour),
		d.Backup.check(),
		within("detect.settle", d.Detect.Settle, 50*time.Millisecond, time.Minute),
		oneOf("detect.watch", d.Detect.Watch, "auto", "fanotify", "inotify", "off"),
		atLeast("detect.scrub_rate", d.Detect.ScrubRate, 0),
		within("detect.verify_every", d.Detect.VerifyEvery, 0, 366*24*time.Hour),
		atLeast("detect.verify_bytes", d.Detect.VerifyBytes, 1),
		atLeast("reprovision.quarantine_max", d.Reprovision.QuarantineMax, 0),
		d.Authorization.check(), d.checkPolicies(), d.checkHooks(), d.checkRoots(),
	)
}

func (b Backup) check() *Error {
	if b.Every.Duration != 0 {
		if err := within("backup.every", b.Every, time.Second, 366*24*time.Hour); err != nil {
			return err
		}
	}
	return oneOf("backup.mode", b.Mode, "full", "incremental")
}

func (d Device) checkPolicies() *Error {
	for _, c := range userdata.Classes() {
		if err := checkPolicy(string(c), d.Reprovision.For(c)); err != nil {
			return err
		}
	}
	return checkPolicy("replacement", d.Reprovision.Replacement)
}

func checkPolicy(key string, p Policy) *Error {
	return oneOf("reprovision."+key, string(p), string(Restore), string(Ask), string(Report))
}

func (d Device) checkHooks() *Error {
	for i, h := range d.Hooks {
		key := fmt.Sprintf("hook[%d]", i)
		if _, err := userdata.ParseClass(h.Class); err != nil {
			return &Error{Key: key + ".class", Why: err.Error()}
		}
		if len(h.Command) == 0 || !filepath.IsAbs(h.Command[0]) {
			return &Error{Key: key + ".command", Why: "want a list that starts with a program's absolute path"}
		}
	}
	return nil
}

func (d Device) checkRoots() *Error {
	space, err := d.Space()
	if err != nil {
		return &Error{Key: "root", Why: err.Error()}
	}
	for _, r := range space.Roots() {
		if overlap(r.Path, d.StateDir) {
			return &Error{Key: "state_dir", Why: fmt.Sprintf("lies in or around root %q; the daemon's state must survive a wipe of the user data", r.Name)}
		}
	}
	return nil
}

// Space is the user-data space that the roots make up.
func (d Device) Space() (userdata.Space, error) {
	roots := make([]userdata.Root, 0, len(d.Roots))
	for _, r := range d.Roots {
		roots = append(roots, userdata.Root{Name: r.Name, Class: userdata.Class(r.Class), Path: r.Path})
	}
	return userdata.NewSpace(roots)
}
