package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxName is how many bytes of a host's name the other side's display takes.
const maxName = 64

func first(errs ...*Error) *Error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkName(name string) *Error {
	bad := name == "" || len(name) > maxName || !utf8.ValidString(name)
	for _, r := range name {
		bad = bad || r < 0x20 || r == 0x7f
	}
	if bad {
		return &Error{Key: "name", Why: fmt.Sprintf("want 1 to %d bytes of printable text", maxName)}
	}
	return nil
}

func checkDir(key, path string) *Error {
	if !filepath.IsAbs(path) {
		return &Error{Key: key, Why: fmt.Sprintf("%q is not an absolute path", path)}
	}
	return nil
}

// checkOptionalFile lets "" pass, which stands for none.
func checkOptionalFile(key, path string) *Error {
	if path == "" {
		return nil
	}
	return checkDir(key, path)
}

func oneOf(key, value string, allowed ...string) *Error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return &Error{Key: key, Why: fmt.Sprintf("%q is not one of %s", value, strings.Join(allowed, ", "))}
}

func within(key string, d Duration, low, high time.Duration) *Error {
	if d.Duration < low || d.Duration > high {
		return &Error{Key: key, Why: fmt.Sprintf("%s is not within %s and %s", d, low, high)}
	}
	return nil
}

func atLeast(key string, v, low int64) *Error {
	if v < low {
		return &Error{Key: key, Why: fmt.Sprintf("%d is less than %d", v, low)}
	}
	return nil
}

func overlap(a, b string) bool {
	a, b = filepath.Clean(a)+"/", filepath.Clean(b)+"/"
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

func orHostname(name string) string {
	if name != "" {
		return name
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "unnamed"
	}
	return host
}
