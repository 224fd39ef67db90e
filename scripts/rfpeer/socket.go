package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// address is a Bluetooth address in the order in which it is written.
type address [6]byte

func parseAddress(s string) (a address, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(a) {
		return a, fmt.Errorf("%q is no Bluetooth address", s)
	}
	return address(b), nil
}

// kernel is the order in which the kernel has RFCOMM addresses.
func (a address) kernel() (k [6]uint8) {
	copy(k[:], a[:])
	slices.Reverse(k[:])
	return k
}

// adapterAddress asks the kernel for an adapter's address (HCIGETDEVINFO).
func adapterAddress(name string) (address, error) {
	var number int
	if _, err := fmt.Sscanf(filepath.Base(name), "hci%d", &number); err != nil {
		return address{}, fmt.Errorf("%q is no adapter's name", name)
	}
	info, err := deviceInfo(number)
	if err != nil {
		return address{}, fmt.Errorf("cannot use the adapter %s: %w", name, err)
	}
	return info, nil
}

// phone is one attempt at a reader.
type phone struct {
	local, peer address
	bond        bool
}

// The options of a Bluetooth socket that x/sys does not name.
const (
	optionSecurity = 4
	securityLow    = 1
	securityMedium = 2 // a bond, where the other side grants one
)

// connect finds the service and connects to it.
func (p phone) connect(ctx context.Context) (*os.File, error) {
	channel, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	return p.open(ctx, channel)
}

// errRefused is a reader that is there and does not let us in.
var errRefused = errors.New("refused")

// open connects to an RFCOMM channel.
func (p phone) open(ctx context.Context, channel uint8) (*os.File, error) {
	fd, err := p.socket(ctx, unix.SOCK_STREAM, unix.BTPROTO_RFCOMM)
	if err != nil {
		return nil, err
	}
	err = unix.Bind(fd, &unix.SockaddrRFCOMM{Addr: p.local.kernel()})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrRFCOMM{Addr: p.peer.kernel(), Channel: channel})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: channel %d: %w", errRefused, channel, err), unix.Close(fd))
	}
	return file(fd)
}

// socket makes one that waits no longer than the context.
func (p phone) socket(ctx context.Context, kind, protocol int) (int, error) {
	fd, err := unix.Socket(unix.AF_BLUETOOTH, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, fmt.Errorf("cannot open a socket: %w", err)
	}
	level := byte(securityLow)
	if p.bond {
		level = securityMedium
	}
	if protocol == unix.BTPROTO_RFCOMM {
		err = unix.SetsockoptString(fd, unix.SOL_BLUETOOTH, optionSecurity, string([]byte{level, 0}))
	}
	if deadline, ok := ctx.Deadline(); ok && err == nil {
		left := unix.NsecToTimeval(int64(max(time.Until(deadline), time.Millisecond)))
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &left)
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("cannot set up a socket: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// file owns the descriptor, also when it fails.
func file(fd int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "rfcomm"), nil
}

// sdpPSM is the L2CAP port of service discovery.
const sdpPSM = 1

// discover asks the reader's service discovery for the service's channel.
func (p phone) discover(ctx context.Context) (uint8, error) {
	fd, err := p.socket(ctx, unix.SOCK_SEQPACKET, unix.BTPROTO_L2CAP)
	if err != nil {
		return 0, err
	}
	err = unix.Bind(fd, &unix.SockaddrL2{Addr: p.local})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrL2{PSM: sdpPSM, Addr: p.peer})
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("cannot reach the reader: %w", err), unix.Close(fd))
	}
	sdp, err := file(fd)
	if err != nil {
		return 0, err
	}
	defer sdp.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := sdp.SetDeadline(deadline); err != nil {
			return 0, err
		}
	}
	return ask(sdp)
}

// service is the project's UUID, bluez.ProfileUUID.
const service = "1a9a14a2-8020-46d1-b196-13396ee68fc5"

// query is a ServiceSearchAttributeRequest: of the service, the list of protocols.
func query() ([]byte, error) {
	uuid, err := hex.DecodeString(strings.ReplaceAll(service, "-", ""))
	if err != nil {
		return nil, err
	}
	pattern := append([]byte{0x35, 0x11, 0x1c}, uuid...)
	rest := []byte{0xff, 0xff, 0x35, 0x03, 0x09, 0x00, 0x04, 0x00} // size, attributes, no continuation
	parameters := append(pattern, rest...)
	return append([]byte{0x06, 0x00, 0x01, 0x00, byte(len(parameters))}, parameters...), nil
}

// ask sends the query and finds the channel in the answer: after the UUID of
// RFCOMM, a sequence's second element of one byte.
func ask(sdp io.ReadWriter) (uint8, error) {
	q, err := query()
	if err != nil {
		return 0, err
	}
	if _, err := sdp.Write(q); err != nil {
		return 0, fmt.Errorf("cannot ask the reader's service discovery: %w", err)
	}
	answer := make([]byte, 4096)
	n, err := sdp.Read(answer)
	if err != nil {
		return 0, fmt.Errorf("the reader's service discovery does not answer: %w", err)
	}
	_, after, found := bytes.Cut(answer[:n], []byte{0x19, 0x00, 0x03, 0x08})
	if !found || len(after) == 0 {
		return 0, errors.New("the reader does not offer the service")
	}
	return after[0], nil
}
