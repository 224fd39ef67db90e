package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
)

// preambleSize is the number of bytes in front of the slots: the label, then
// zeros.
const preambleSize = 64

// lockPoll is the time between two attempts to lock the image.
const lockPoll = 20 * time.Millisecond

// image is an open and locked image file.
type image struct {
	path     string
	file     *os.File
	label    card.Label
	ready    bool  // the label verifies and the file is as long as it says
	damage   error // why an image of ours is not ready: card.ErrDamaged
	readOnly bool
}

// openImage opens and locks the image. A missing one gives card.ErrNoCard.
func openImage(ctx context.Context, path string) (*image, error) {
	for {
		im, err := openOnce(path)
		if err != nil {
			return nil, err
		}
		err = im.lock(ctx)
		if err == nil {
			err = im.stillThere()
		}
		if err == nil {
			err = im.readLabel()
		}
		if err == nil {
			return im, nil
		}
		im.close()
		if !errors.Is(err, card.ErrRemoved) { // exchanged while we waited: open again
			return nil, err
		}
	}
}

func openOnce(path string) (*image, error) {
	flags := unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	im := &image{path: path}
	file, err := os.OpenFile(path, os.O_RDWR|flags, 0)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		im.readOnly = true
		file, err = os.OpenFile(path, os.O_RDONLY|flags, 0)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, card.ErrNoCard
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%w: symbolic link: %w", card.ErrForeign, err)
	case err != nil:
		return nil, err
	}
	im.file = file
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", card.ErrForeign, path)
	}
	if err != nil {
		im.close()
		return nil, err
	}
	return im, nil
}

// lock waits until no other transaction, in this process or another, has the
// image, or until ctx ends.
func (im *image) lock(ctx context.Context) error {
	for {
		err := unix.Flock(int(im.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("cannot lock %s: %w", im.path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", card.ErrBusy, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// stillThere gives card.ErrRemoved once the image is no longer at its path.
func (im *image) stillThere() error {
	opened, err := im.file.Stat()
	if err != nil {
		return err
	}
	found, err := os.Lstat(im.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(opened, found) {
		return card.ErrRemoved
	}
	return err
}

// readLabel judges the contents. A file that is neither empty nor ours is
// card.ErrForeign; one of ours that lost its end stays open to a new Format.
func (im *image) readLabel() error {
	info, err := im.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return nil
	}
	b := make([]byte, card.LabelSize)
	if _, err := im.file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	label, err := card.ParseLabel(b)
	if err != nil {
		return fmt.Errorf("%w: %s", card.ErrForeign, im.path)
	}
	im.label, im.ready = label, info.Size() == imageSize(label.SlotSize)
	if !im.ready {
		im.damage = fmt.Errorf("%w: %s has %d bytes instead of %d", card.ErrDamaged, im.path, info.Size(), imageSize(label.SlotSize))
	}
	return nil
}

// close also unlocks.
func (im *image) close() {
	if im != nil && im.file != nil {
		_ = im.file.Close() // every write was flushed
	}
}

func imageSize(slotSize int) int64 { return preambleSize + card.Slots*int64(slotSize) }

func slotOffset(slotSize, slot, off int) int64 {
	return preambleSize + int64(slot)*int64(slotSize) + int64(off)
}
