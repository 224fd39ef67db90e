package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The H4 packet types (Bluetooth Core, volume 4, part A, section 2).
const (
	h4Command = 0x01
	h4ACL     = 0x02
	h4SCO     = 0x03
	h4Event   = 0x04
	h4ISO     = 0x05
)

// maxPacket is the longest H4 packet: its type, an ACL header of 4 bytes and
// the longest data that the length field of 16 bits can tell.
const maxPacket = 1 + 4 + 0xffff

// errNoPacket means that a byte stood where the type of a packet is expected,
// and is none.
var errNoPacket = errors.New("cannot find the start of a packet")

// readPacket reads one whole H4 packet, its type first. At the end of the
// stream it returns io.EOF, and io.ErrUnexpectedEOF where that falls into a
// packet. After errNoPacket the byte is consumed and the reader may go on.
func readPacket(r *bufio.Reader) ([]byte, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	size := headerSize(kind)
	if size == 0 {
		return nil, fmt.Errorf("%w: type %#02x", errNoPacket, kind)
	}
	head := make([]byte, 1+size)
	head[0] = kind
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return nil, whole(err)
	}
	packet := make([]byte, len(head)+dataSize(head))
	copy(packet, head)
	if _, err := io.ReadFull(r, packet[len(head):]); err != nil {
		return nil, whole(err)
	}
	return packet, nil
}

// headerSize returns the length in bytes of the header that follows a type,
// and 0 for what is no type.
func headerSize(kind byte) int {
	switch kind {
	case h4Command, h4SCO:
		return 3
	case h4ACL, h4ISO:
		return 4
	case h4Event:
		return 2
	}
	return 0
}

// dataSize returns how many bytes follow a type and its header.
func dataSize(head []byte) int {
	switch head[0] {
	case h4ACL:
		return int(binary.LittleEndian.Uint16(head[3:]))
	case h4ISO:
		return int(binary.LittleEndian.Uint16(head[3:]) & 0x3fff) // two bits are reserved
	}
	return int(head[len(head)-1])
}

// whole tells an end inside a packet from one between two.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
