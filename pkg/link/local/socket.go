package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrInUse is wrapped by Listen's error when another process listens already.
var ErrInUse = errors.New("socket in use by another process")

// maxPath is what fits into a sockaddr_un with its NUL.
const maxPath = 107

// bind makes the socket at path, and returns it with the lock that guards it.
func bind(path string) (net.Listener, *os.File, error) {
	if len(path) > maxPath {
		return nil, nil, fmt.Errorf("socket path %s is longer than %d bytes", path, maxPath)
	}
	if err := prepareDir(filepath.Dir(path)); err != nil {
		return nil, nil, err
	}
	lock, err := takeLock(path + ".lock")
	if err != nil {
		return nil, nil, err
	}
	l, err := listenUnix(path)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return l, lock, nil
}

// prepareDir makes the socket's directory, and refuses one in which somebody
// else could replace the socket.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("directory %s: others may write to it (mode %#o)", dir, info.Mode().Perm())
	}
	return nil
}

// takeLock takes the lock beside the socket. The file stays when the listener
// goes: removing it would let two processes each hold a lock.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrInUse, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// listenUnix replaces a stale socket: whoever holds the lock knows that nobody
// listens on it. The mode is set before the socket has a name.
func listenUnix(path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		err := c.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmod)
	}}
	return lc.Listen(context.Background(), "unix", path)
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	return os.Remove(path)
}
