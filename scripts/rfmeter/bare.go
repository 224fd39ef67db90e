package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/link"
)

// The bare copy: an RFCOMM channel that BlueZ does not hand out first, and the
// size of a write, in bytes.
const (
	bareChannel = 27
	barePiece   = 4 << 10
)

// bareSocket makes a plain RFCOMM socket that blocks, bound to an adapter.
func bareSocket(local link.Address, channel uint8) (int, error) {
	fd, err := unix.Socket(unix.AF_BLUETOOTH, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.BTPROTO_RFCOMM)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrRFCOMM{Addr: reversed(local), Channel: channel}); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// reversed is the kernel's order of an address.
func reversed(a link.Address) (r [6]uint8) {
	for i := range a {
		r[i] = a[len(a)-1-i]
	}
	return r
}

// opened makes a file of a connected socket, with deadlines.
func opened(fd int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "rfcomm"), nil
}

// bareTries is how often bareDial tries: the end of the connection before may take
// the new one with it.
const bareTries = 5

// bareDial connects to the peer's channel.
func bareDial(local, peer link.Address) (file *os.File, err error) {
	for range bareTries {
		file, err = bareTry(local, peer)
		if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.ECONNREFUSED) {
			break
		}
		time.Sleep(time.Second)
	}
	return file, err
}

func bareTry(local, peer link.Address) (*os.File, error) {
	fd, err := bareSocket(local, 0)
	if err != nil {
		return nil, err
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err == nil {
		err = unix.Connect(fd, &unix.SockaddrRFCOMM{Addr: reversed(peer), Channel: bareChannel})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot connect to channel %d of %s: %w", bareChannel, peer, err)
	}
	return opened(fd)
}

// bareServe answers on the channel, one peer at a time, until ctx ends.
func bareServe(ctx context.Context, local link.Address, note func(error)) error {
	listener, err := bareSocket(local, bareChannel)
	if err != nil {
		return err
	}
	defer unix.Close(listener)
	if err := unix.Listen(listener, 1); err != nil {
		return err
	}
	// Nothing else wakes an accept that blocks.
	defer context.AfterFunc(ctx, func() { _ = unix.Shutdown(listener, unix.SHUT_RDWR) })()
	for ctx.Err() == nil {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			return err
		}
		conn, err := opened(fd)
		if err != nil {
			return err
		}
		note(limited(conn, func() error { return answer(conn, barePiece) }))
		bluez.HangUp(conn)
	}
	return ctx.Err()
}
