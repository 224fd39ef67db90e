package keyring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrPermissions is wrapped by the error about a file or directory that others
// than its owner may reach, or that belongs to somebody else.
var ErrPermissions = errors.New("secret is not private")

// ErrCorrupt is wrapped by the error about a file whose contents are not what
// the keyring writes.
var ErrCorrupt = errors.New("keyring file is corrupt")

// Keyring is a directory of keys. Its methods may be called concurrently.
type Keyring struct {
	dir string
}

// Open opens the keyring in dir, which it makes (0700) if missing. A directory
// that others may reach is refused with ErrPermissions, wrapped.
func Open(dir string) (*Keyring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open keyring: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open keyring: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("cannot open keyring: %s is not a directory", dir)
	}
	if err := checkPrivate(dir, info); err != nil {
		return nil, fmt.Errorf("cannot open keyring: %w", err)
	}
	return &Keyring{dir: dir}, nil
}

// missing tells whether a read failed because nothing was ever written.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
