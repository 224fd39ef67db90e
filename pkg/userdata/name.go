package userdata

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// Limits of an item's name, those of Linux: PATH_MAX and NAME_MAX, in bytes.
const (
	MaxName      = 4096
	MaxComponent = 255
)

// ErrBadName is wrapped by every error about a name that cannot be an item's.
var ErrBadName = errors.New("not an item name")

// Name identifies an item independently of where its root lies: the root's
// name, then the slash-separated path below it ("service-books/home.nmconnection").
// The bare root name stands for the root directory itself. A Name that came
// from ParseName or NewName never leaves its root.
type Name string

// NewName joins a root's name and a path below it; rel "." is the root itself.
func NewName(root, rel string) (Name, error) {
	if rel == "." {
		return ParseName(root)
	}
	return ParseName(root + "/" + rel)
}

// ParseName checks a name that came from outside. It refuses absolute paths,
// empty, "." and ".." components, NUL bytes and over-long names. Bytes that are
// no UTF-8 are allowed, as Linux allows them in file names.
func ParseName(s string) (Name, error) {
	if s == "" || len(s) > MaxName {
		return "", fmt.Errorf("%w: %d bytes long", ErrBadName, len(s))
	}
	for part := range strings.SplitSeq(s, "/") {
		if err := checkComponent(part); err != nil {
			return "", fmt.Errorf("%w: %w: %q", ErrBadName, err, Printable(s))
		}
	}
	if root := Name(s).Root(); !validRootName(root) {
		return "", fmt.Errorf("%w: bad root: %q", ErrBadName, Printable(s))
	}
	return Name(s), nil
}

func checkComponent(part string) error {
	switch {
	case part == "":
		return errors.New("empty component")
	case part == "." || part == "..":
		return errors.New("component leaves its directory")
	case len(part) > MaxComponent:
		return errors.New("component too long")
	case strings.IndexByte(part, 0) >= 0:
		return errors.New("NUL byte")
	}
	return nil
}

// validRootName allows what is safe in a TOML file, on a command line and as
// the start of a name: lower-case letters, digits and inner hyphens.
func validRootName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

// Root is the name of the root that the item lies below.
func (n Name) Root() string {
	root, _, _ := strings.Cut(string(n), "/")
	return root
}

// Rel is the path below the root, "." for the root itself.
func (n Name) Rel() string {
	_, rel, ok := strings.Cut(string(n), "/")
	if !ok {
		return "."
	}
	return rel
}

// IsRoot tells whether the name stands for a root directory itself.
func (n Name) IsRoot() bool { return !strings.Contains(string(n), "/") }

// Parent is the name of the directory that holds the item; a root's parent is
// the root itself.
func (n Name) Parent() Name {
	if n.IsRoot() {
		return n
	}
	return Name(path.Dir(string(n)))
}

// Below tells whether n is dir or lies below it.
func (n Name) Below(dir Name) bool {
	return n == dir || strings.HasPrefix(string(n), string(dir)+"/")
}

// Printable makes a string from outside safe for a terminal, a log line or
// JSON: control characters and invalid UTF-8 become escapes.
func Printable(s string) string {
	clean := utf8.ValidString(s)
	for _, r := range s {
		clean = clean && r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f)
	}
	if clean {
		return s
	}
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}

// TempPrefix starts the names of files that a restore has not finished.
// tempDigits lower-case hexadecimal digits follow.
const TempPrefix = ".reprovision-"

const tempDigits = 16

// IsTemp tells whether a file name, without its directory, is one that a
// restore gives to what it has not finished: TempPrefix and exactly 16
// lower-case hexadecimal digits. Such a file is no user data, whoever finds it.
// A name that only starts alike is the user's own.
func IsTemp(base string) bool {
	digits, ok := strings.CutPrefix(base, TempPrefix)
	return ok && len(digits) == tempDigits && strings.Trim(digits, "0123456789abcdef") == ""
}
