package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
)

// Format implements card.Medium. The new image is written beside the old one,
// flushed, and takes its place in one step, so that there is always a whole one.
// It is the only place where an image comes into being.
func (m *medium) Format(ctx context.Context, size int) error {
	if size == 0 {
		size = (m.capacity - preambleSize) / card.Slots
	}
	if need := card.Slots*size + preambleSize; need > m.capacity {
		return fmt.Errorf("cannot format card image: %w", &card.FullError{Need: need, Have: m.capacity})
	}
	if err := m.format(ctx, size); err != nil {
		return fmt.Errorf("cannot format card image: %w", cardError(err))
	}
	return nil
}

func (m *medium) format(ctx context.Context, size int) error {
	label, err := card.NewLabel(size)
	if err != nil {
		return err
	}
	if err := m.mayReplace(ctx); err != nil {
		return err
	}
	fresh, err := writeImage(m.path, label)
	if err != nil {
		return err
	}
	if err := m.install(ctx, fresh); err != nil {
		fresh.close()
		return errors.Join(err, os.Remove(fresh.path))
	}
	fresh.path = m.path
	m.image.close()
	m.image = fresh
	return syncDir(filepath.Dir(m.path))
}

// mayReplace refuses a write-protected image and one that was pulled meanwhile.
func (m *medium) mayReplace(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.image == nil:
		return nil
	case m.image.readOnly:
		return card.ErrReadOnly
	}
	return m.image.stillThere()
}

// writeImage makes a whole image in a temporary file and locks it, so that
// nobody comes between once it is in place.
func writeImage(path string, label card.Label) (*image, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	im := &image{path: file.Name(), file: file, label: label, ready: true}
	_, err = file.Write(label.Encode())
	if err == nil {
		// Real zeros rather than a hole: a later commit must not meet a full disk.
		_, err = io.CopyN(file, zeros{}, imageSize(label.SlotSize)-card.LabelSize)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		_ = file.Close()
		return nil, errors.Join(err, os.Remove(file.Name()))
	}
	return im, nil
}

// install moves the fresh image to its path: over the one that is open, or to
// where there is none.
func (m *medium) install(ctx context.Context, fresh *image) error {
	if m.image != nil {
		if err := m.mayReplace(ctx); err != nil {
			return err
		}
		return os.Rename(fresh.path, m.path)
	}
	err := unix.Renameat2(unix.AT_FDCWD, fresh.path, unix.AT_FDCWD, m.path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not on this file system
		if _, found := os.Lstat(m.path); !errors.Is(found, fs.ErrNotExist) {
			return card.ErrBusy
		}
		return os.Rename(fresh.path, m.path)
	}
	if errors.Is(err, unix.EEXIST) {
		return card.ErrBusy
	}
	return err
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
