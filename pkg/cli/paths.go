package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// resolvePaths turns what a person names into what the daemon takes: absolute
// paths and item names.
func resolvePaths(args []string) ([]string, error) {
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "" // gone; only relative paths need it
	}
	out := make([]string, len(args))
	for i, arg := range args {
		if out[i], err = resolvePath(arg, cwd); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// resolvePath: an absolute path stays one. A path that starts with "./" or "../"
// is one of the working directory. Any other is so too if it exists there, or if
// the directory that it names exists there (what it names may be erased);
// otherwise it is an item's name if it can be one, "service-books/home".
func resolvePath(arg, cwd string) (string, error) {
	if arg == "" {
		return "", usagef("a path is empty")
	}
	raw := busapi.RawText(arg) // as a listing showed it
	if filepath.IsAbs(raw) {
		return filepath.Clean(raw), nil
	}
	_, notName := userdata.ParseName(strings.TrimSuffix(raw, "/"))
	if notName == nil && !within(raw, cwd) {
		return strings.TrimSuffix(raw, "/"), nil
	}
	if cwd == "" {
		return "", fmt.Errorf("cannot find %s: the working directory is gone", printable(arg))
	}
	return filepath.Join(cwd, raw), nil
}

// within tells whether a relative path is one of the working directory.
func within(raw, cwd string) bool {
	if cwd == "" {
		return false
	}
	full := filepath.Join(cwd, raw)
	if _, err := os.Lstat(full); err == nil {
		return true
	}
	info, err := os.Stat(filepath.Dir(full))
	return strings.Contains(strings.TrimSuffix(raw, "/"), "/") && err == nil && info.IsDir()
}
