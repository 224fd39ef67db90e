package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// maxFile bounds every file of the keyring, in bytes.
const maxFile = 256 << 10

// checkPrivate refuses what belongs to another user or gives group or others
// any permission.
func checkPrivate(name string, info fs.FileInfo) error {
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %#o", ErrPermissions, name, perm)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to user %d", ErrPermissions, name, st.Uid)
	}
	return nil
}

// read returns a file's contents, fs.ErrNotExist if it is missing. It follows
// no symlink and does not block on what is no regular file.
func (k *Keyring) read(name string) ([]byte, error) {
	path := filepath.Join(k.dir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrCorrupt, path)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%w: %s is larger than %d bytes", ErrCorrupt, path, maxFile)
	}
	return data, err
}

// write replaces a file whole. When it returns nil, the new contents and name
// have reached the disk.
func (k *Keyring) write(name string, data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("%s would be larger than %d bytes", name, maxFile)
	}
	f, err := renameio.NewPendingFile(filepath.Join(k.dir, name),
		renameio.WithTempDir(k.dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return k.sync()
}

// remove deletes a file durably; one that is missing already is no error.
func (k *Keyring) remove(name string) error {
	if err := os.Remove(filepath.Join(k.dir, name)); err != nil && !missing(err) {
		return err
	}
	return k.sync()
}

// sync makes the directory's entries durable.
func (k *Keyring) sync() error {
	d, err := os.Open(k.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// locked runs f while no other process or goroutine is in locked.
func (k *Keyring) locked(f func() error) error {
	d, err := os.Open(k.dir)
	if err != nil {
		return err
	}
	defer d.Close() // frees the lock, too
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return fmt.Errorf("cannot lock %s: %w", k.dir, err)
	}
	return f()
}

// decode reads JSON strictly: no unknown key, nothing after the document. The
// error names the file and never what stands in it.
func decode(name string, data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %s is not as the keyring writes it", ErrCorrupt, name)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s goes on after its end", ErrCorrupt, name)
	}
	return nil
}

func encode(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}
