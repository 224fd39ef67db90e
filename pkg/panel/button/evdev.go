package button

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxKey is the largest code of a key, KEY_MAX of linux/input-event-codes.h.
const MaxKey = 0x2ff

// What linux/input-event-codes.h and linux/input.h define.
const (
	evSyn      = 0x00
	evKey      = 0x01
	synDropped = 3
	keyUp      = 0
	keyDown    = 1

	eviocGName = 0x06
	eviocGKey  = 0x18
)

// Key is a key of an input device (evdev), debounced by the kernel.
type Key struct {
	Device string // a path, or the name that the device has
	Code   uint16 // of the key, up to MaxKey
	Dir    string // of the devices; default /dev/input
}

// Bounce implements Source.
func (k Key) Bounce() time.Duration { return 0 }

func (k Key) String() string { return fmt.Sprintf("key %d of %s", k.Code, k.Device) }

// Follow implements Source.
func (k Key) Follow(ctx context.Context, begun func(), edge func(bool)) error {
	f, err := k.open()
	if err != nil {
		return err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Now()) })()
	begun()
	buffer := make([]byte, 64*eventSize())
	for {
		n, err := f.Read(buffer)
		if err != nil {
			return fmt.Errorf("cannot read the key: %w", err)
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		for _, e := range parseEvents(buffer[:n]) {
			switch {
			case e.kind == evKey && e.code == k.Code && (e.value == keyUp || e.value == keyDown): // 2 is a repetition
				edge(e.value == keyDown)
			case e.kind == evSyn && e.code == synDropped: // the kernel had no room for all
				down, err := k.isDown(f)
				if err != nil {
					return err
				}
				edge(down)
			}
		}
	}
}

// open opens the device that was named.
func (k Key) open() (*os.File, error) {
	if filepath.IsAbs(k.Device) {
		return openInput(k.Device)
	}
	dir := k.Dir
	if dir == "" {
		dir = "/dev/input"
	}
	all, err := filepath.Glob(filepath.Join(dir, "event*"))
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, path := range all {
		f, err := openInput(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		name, err := nameOf(f)
		if err == nil && name == k.Device {
			return f, nil
		}
		errs = append(errs, f.Close())
	}
	return nil, errors.Join(append([]error{fmt.Errorf("no input device is called %q", k.Device)}, errs...)...)
}

func openInput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the input device: %w", err)
	}
	if _, err := nameOf(f); err != nil {
		return nil, fmt.Errorf("%s is no input device: %w", path, errors.Join(err, f.Close()))
	}
	return f, nil
}

// nameOf asks a device for its name.
func nameOf(f *os.File) (string, error) {
	name := make([]byte, 256)
	if err := ask(f, eviocGName, name); err != nil {
		return "", err
	}
	name, _, _ = bytes.Cut(name, []byte{0})
	return strings.ToValidUTF8(string(name), "?"), nil
}

// isDown asks whether the key is down.
func (k Key) isDown(f *os.File) (bool, error) {
	keys := make([]byte, MaxKey/8+1)
	if err := ask(f, eviocGKey, keys); err != nil {
		return false, fmt.Errorf("cannot ask for the keys that are down: %w", err)
	}
	return keys[k.Code/8]&(1<<(k.Code%8)) != 0, nil
}

// ask is the request _IOC(_IOC_READ, 'E', number, len(answer)).
func ask(f *os.File, number uintptr, answer []byte) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	request := uintptr(2)<<30 | uintptr(len(answer))<<16 | uintptr('E')<<8 | number
	var errno unix.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&answer[0])))
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return err
}

// event is a struct input_event without its time.
type event struct {
	kind, code uint16
	value      int32
}

// eventSize is that of a struct input_event: a time of two longs, and 8 bytes.
func eventSize() int { return int(unsafe.Sizeof(unix.Timeval{})) + 8 }

// parseEvents reads what the kernel gave. It gives whole events only; what is left over
// is none.
func parseEvents(raw []byte) []event {
	var out []event
	for size := eventSize(); len(raw) >= size; raw = raw[size:] {
		e := raw[size-8 : size]
		out = append(out, event{
			kind: binary.NativeEndian.Uint16(e), code: binary.NativeEndian.Uint16(e[2:]),
			value: int32(binary.NativeEndian.Uint32(e[4:])),
		})
	}
	return out
}
