package main

import (
	"errors"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's struct hci_dev_info and the call that fills it in. The address
// comes after the number and eight bytes of name, in the kernel's order.
const (
	getDeviceInfo = 0x800448d3
	infoSize      = 92
	infoAddress   = 10
	infoFlags     = 16
	flagUp        = 1
)

// deviceInfo returns the address of an adapter that is switched on.
func deviceInfo(number int) (a address, err error) {
	fd, err := unix.Socket(unix.AF_BLUETOOTH, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.BTPROTO_HCI)
	if err != nil {
		return a, err
	}
	defer unix.Close(fd)
	var info [infoSize]byte
	info[0], info[1] = byte(number), byte(number>>8)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), getDeviceInfo, uintptr(unsafe.Pointer(&info))); errno != 0 {
		return a, errno
	}
	if info[infoFlags]&flagUp == 0 {
		return a, errors.New("it is switched off")
	}
	copy(a[:], info[infoAddress:])
	slices.Reverse(a[:])
	return a, nil
}
