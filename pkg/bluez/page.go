package bluez

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sdpPSM is the L2CAP port of service discovery, which every host offers to
// everybody, without a bond and without encryption.
const sdpPSM = 1

// errCannotPage: this process may not, or the kernel does not know how to.
var errCannotPage = errors.New("cannot open a Bluetooth socket")

// page opens a link to the peer's service discovery. As long as the file is open
// the link lasts. Without an answer the error wraps ErrAbsent, or it is the
// context's.
func page(ctx context.Context, local, peer Address) (*os.File, error) {
	file, err := pageSocket(local, peer)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetWriteDeadline(time.Unix(1, 0)) })
	err = connected(file)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(pageError(err), file.Close())
	}
	return file, nil
}

// pageSocket begins to connect.
func pageSocket(local, peer Address) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_BLUETOOTH, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.BTPROTO_L2CAP)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCannotPage, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrL2{Addr: local}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errCannotPage, err), unix.Close(fd))
	}
	err = unix.Connect(fd, &unix.SockaddrL2{PSM: sdpPSM, Addr: peer})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, errors.Join(pageError(err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "l2cap"), nil
}

// connected waits until the socket is connected, or knows why not.
func connected(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Write(func(fd uintptr) (done bool) {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err != nil {
			result = err
			return true
		}
		return writable(int(fd)) // else it was woken for nothing
	})
	return errors.Join(err, result)
}

// writable tells whether the kernel has the socket connected. The peer's name it
// gives while it still connects.
func writable(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(poll, 0)
	return err == nil && n == 1 && poll[0].Revents&unix.POLLOUT != 0
}

// pageError sorts what the kernel says.
func pageError(err error) error {
	for _, absent := range []error{unix.EHOSTDOWN, unix.ETIMEDOUT, unix.ECONNABORTED, unix.EHOSTUNREACH} {
		if errors.Is(err, absent) {
			return fmt.Errorf("%w: %w", ErrAbsent, err)
		}
	}
	if errors.Is(err, unix.ECONNRESET) {
		return fmt.Errorf("%w: %w", errUnnoticed, err)
	}
	return err
}
