package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Where the reader's daemon looks when nothing else is said.
const (
	ReaderFile  = "/etc/reprovision/scrd.toml"
	ReaderState = "/var/lib/scrd"
)

// Reader is what scrd is told.
type Reader struct {
	Name     string `toml:"name"`      // shown at the device; default the host name
	StateDir string `toml:"state_dir"` // bbolt store, identity, peers
	LogLevel string `toml:"log_level"`

	Link      ReaderLink     `toml:"link"`
	Pairing   Pairing        `toml:"pairing"`
	Passcode  Passcode       `toml:"passcode"`
	Card      Card           `toml:"card"`
	Panel     Panel          `toml:"panel"`
	Store     Store          `toml:"store"`
	Retention Retention      `toml:"retention"`
	Devices   []ReaderDevice `toml:"device"`
}

// ReaderLink says where devices reach the reader.
type ReaderLink struct {
	Kind    LinkKind `toml:"kind"`
	Adapter string   `toml:"adapter"` // of rfcomm: "hci1", its address, or "" for the first
	Path    string   `toml:"path"`    // of local: the socket
}

// Pairing bounds the time in which a device may pair (steps 410 to 422).
type Pairing struct {
	Window Duration `toml:"window"`
}

// Passcode bounds the guessing of reprovisioning passcodes (step 620).
type Passcode struct {
	Tries    int64    `toml:"tries"`     // wrong ones in a row, until only the recovery code helps
	Delay    Duration `toml:"delay"`     // after the first wrong one; it doubles with each
	MaxDelay Duration `toml:"max_delay"` // the longest
	// WipeAfter is after how many wrong ones the data are deleted, here and on the
	// card; 0 never.
	WipeAfter int64 `toml:"wipe_after"`
}

// Card says where the smart card is.
type Card struct {
	Kind    string `toml:"kind"`    // "auto", "pcsc", "file" or "none"
	Path    string `toml:"path"`    // image of the file card; default in the state directory, or at the top of the file system
	UUID    string `toml:"uuid"`    // of the file system on removable media that Path lies in; default none
	Reader  string `toml:"reader"`  // part of the PC/SC reader's name; default the first with a card
	Size    int64  `toml:"size"`    // bytes that a new file card holds
	Profile string `toml:"profile"` // "auto", "iso7816" or "piv"
	// ManagementKeyFile holds a PIV card's management key, in hexadecimal; when it
	// is empty, only a card with the key that it came with can be written.
	ManagementKeyFile string `toml:"management_key_file"`
	ShortAPDUs        bool   `toml:"short_apdus"` // for readers that pass no extended ones
	// NoPINQuery is for cards with a file system that count the question how many tries
	// are left as a wrong PIN.
	NoPINQuery bool `toml:"no_pin_query"`
}

// DefaultReader is what holds where the file says nothing.
func DefaultReader() Reader {
	return Reader{
		StateDir: ReaderState,
		LogLevel: "info",
		Link:     ReaderLink{Kind: RFCOMM, Path: "/run/scrd/reader.sock"},
		Pairing:  Pairing{Window: Duration{2 * time.Minute}},
		Passcode: Passcode{Tries: 10, Delay: Duration{time.Second}, MaxDelay: Duration{15 * time.Minute}},
		Card:     Card{Kind: "auto", Size: 1 << 20, Profile: "auto"},
		Panel:    defaultPanel(),
		Store: Store{
			Idle: Duration{30 * time.Second}, ScrubEvery: Duration{7 * 24 * time.Hour}, ScrubRate: 4 << 20,
		},
		Retention: Retention{Last: 8, Daily: 14, Weekly: 8, Monthly: 12},
	}
}

// LoadReader reads and checks the reader's settings; see LoadDevice.
func LoadReader(file string) (Reader, error) {
	r := DefaultReader()
	optional := file == ""
	if optional {
		file = ReaderFile
	}
	if err := load(file, &r, optional); err != nil {
		return Reader{}, err
	}
	r.Name = orHostname(r.Name)
	if r.Card.Path == "" && r.Card.UUID != "" {
		r.Card.Path = "card.img"
	}
	if r.Card.Path == "" {
		r.Card.Path = filepath.Join(r.StateDir, "card.img")
	}
	if err := r.check(); err != nil {
		err.File = file
		return Reader{}, err
	}
	return r, nil
}

func (r Reader) check() *Error {
	return first(
		checkName(r.Name),
		checkDir("state_dir", r.StateDir),
		oneOf("log_level", r.LogLevel, "debug", "info", "warn", "error"),
		checkLink(r.Link.Kind, r.Link.Adapter, r.Link.Path),
		within("pairing.window", r.Pairing.Window, time.Second, time.Hour),
		atLeast("passcode.tries", r.Passcode.Tries, 1),
		within("passcode.delay", r.Passcode.Delay, time.Millisecond, time.Hour),
		within("passcode.max_delay", r.Passcode.MaxDelay, r.Passcode.Delay.Duration, 24*time.Hour),
		atLeast("passcode.wipe_after", r.Passcode.WipeAfter, 0),
		atLeast("passcode.tries", r.Passcode.Tries, r.Passcode.WipeAfter), // what is locked is not guessed at
		oneOf("card.kind", r.Card.Kind, "auto", "pcsc", "file", "none"),
		oneOf("card.profile", r.Card.Profile, "auto", "iso7816", "piv"),
		checkOptionalFile("card.management_key_file", r.Card.ManagementKeyFile),
		checkCardPath(r.Card),
		atLeast("card.size", r.Card.Size, 4096),
		r.Panel.check(),
		r.checkStore(),
	)
}

// checkCardPath wants a path of this host, or one within the file system that the
// card is on.
func checkCardPath(c Card) *Error {
	if c.UUID == "" {
		return checkDir("card.path", c.Path)
	}
	for _, r := range c.UUID {
		if !strings.ContainsRune("0123456789abcdefABCDEF-", r) {
			return &Error{Key: "card.uuid", Why: fmt.Sprintf("%q is no UUID of a file system", c.UUID)}
		}
	}
	if !filepath.IsLocal(c.Path) {
		return &Error{Key: "card.path", Why: fmt.Sprintf("%q is no path within a file system", c.Path)}
	}
	return nil
}
