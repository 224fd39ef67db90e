package main

import (
	"encoding/binary"
	"slices"
	"sync"
)

// What tells of links (Bluetooth Core, volume 4, part E, sections 7.1.6, 7.7.3
// and 7.7.5).
const (
	connectionComplete    = 0x03
	disconnectionComplete = 0x05
	opDisconnect          = 0x0406

	connectionTimeout = 0x08 // what a peer sees when the other's power is cut
	handleMask        = 0x0fff
)

// links are the handles of a controller's open links, as its events tell.
type links struct {
	mu   sync.Mutex
	open []uint16
}

// observe takes note of one packet from the controller.
func (l *links) observe(packet []byte) {
	if len(packet) < 6 || packet[0] != h4Event || packet[3] != 0 {
		return // no event of a link, or one that tells of a failure
	}
	handle := binary.LittleEndian.Uint16(packet[4:]) & handleMask
	l.mu.Lock()
	defer l.mu.Unlock()
	switch packet[1] {
	case connectionComplete:
		if !slices.Contains(l.open, handle) {
			l.open = append(l.open, handle)
		}
	case disconnectionComplete:
		l.open = slices.DeleteFunc(l.open, func(h uint16) bool { return h == handle })
	}
}

// take returns one command per open link that ends it, and forgets the links.
func (l *links) take() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var commands [][]byte
	for _, handle := range l.open {
		command := binary.LittleEndian.AppendUint16([]byte{h4Command}, opDisconnect)
		command = append(command, 3)
		command = binary.LittleEndian.AppendUint16(command, handle)
		commands = append(commands, append(command, connectionTimeout))
	}
	l.open = nil
	return commands
}
