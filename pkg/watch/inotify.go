package watch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errMalformed is wrapped when the kernel's events make no sense.
var errMalformed = errors.New("malformed events")

// inotify is one inotify instance. It is used bare, because a watch of a place
// needs masks of its own, and a watch of a tree must know a directory by its
// watch descriptor while its path changes.
type inotify struct {
	fd  int
	buf []byte
}

type inotifyEvent struct {
	wd   int32
	mask uint32
	name string // of the entry in the watched directory; "" for the directory
}

func openInotify() (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot use inotify: %w", err)
	}
	return &inotify{fd: fd, buf: make([]byte, 64<<10)}, nil
}

func (i *inotify) close() { _ = unix.Close(i.fd) }

func (i *inotify) add(path string, mask uint32) (int32, error) {
	wd, err := unix.InotifyAddWatch(i.fd, path, mask)
	return int32(wd), err
}

// remove ends a watch; the kernel may have ended it already.
func (i *inotify) remove(wd int32) { _, _ = unix.InotifyRmWatch(i.fd, uint32(wd)) }

// read returns what has happened, without waiting.
func (i *inotify) read() ([]inotifyEvent, error) {
	return drain(i.fd, i.buf, parseInotify)
}

// maxDrain bounds how many buffers are read at once.
const maxDrain = 256

// drain reads events until there are no more. It is better not to leave any: the
// kernel drops what its queue cannot hold.
func drain[E any](fd int, buf []byte, parse func([]byte) ([]E, error)) ([]E, error) {
	var all []E
	for range maxDrain {
		data, err := readNow(fd, buf)
		if err != nil {
			return all, fmt.Errorf("cannot read events: %w", err)
		}
		if len(data) == 0 {
			break
		}
		events, err := parse(data)
		all = append(all, events...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// readNow reads from a non-blocking descriptor; nothing there is no error.
func readNow(fd int, buf []byte) ([]byte, error) {
	n, err := unix.Read(fd, buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// parseInotify reads struct inotify_event of inotify(7), one after the other: wd,
// mask, cookie and length as 32-bit words, then a name padded with NUL bytes.
func parseInotify(data []byte) ([]inotifyEvent, error) {
	var events []inotifyEvent
	for len(data) > 0 {
		if len(data) < unix.SizeofInotifyEvent {
			return events, fmt.Errorf("%w: %d bytes left", errMalformed, len(data))
		}
		length := binary.NativeEndian.Uint32(data[12:])
		if uint64(length) > uint64(len(data)-unix.SizeofInotifyEvent) {
			return events, fmt.Errorf("%w: name of %d bytes", errMalformed, length)
		}
		end := unix.SizeofInotifyEvent + int(length)
		name, _, _ := bytes.Cut(data[unix.SizeofInotifyEvent:end], []byte{0})
		events = append(events, inotifyEvent{
			wd:   int32(binary.NativeEndian.Uint32(data)),
			mask: binary.NativeEndian.Uint32(data[4:]),
			name: string(name),
		})
		data = data[end:]
	}
	return events, nil
}
