package main

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lookAgain = 50 * time.Microsecond
	patience  = 10 * time.Second // for a radio to read one packet
)

// wholeWriter writes a packet only when the peer has read the one before, so
// that one read of the peer holds one packet from its first byte on.
type wholeWriter struct {
	conn *net.UnixConn
	raw  syscall.RawConn
}

func newWholeWriter(conn *net.UnixConn) (*wholeWriter, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("cannot look into the socket: %w", err)
	}
	return &wholeWriter{conn: conn, raw: raw}, nil
}

// write returns when the packet lies in the peer's socket.
func (w *wholeWriter) write(packet []byte) error {
	until := time.Now().Add(patience)
	for {
		unread, err := w.unread()
		if err != nil {
			return err
		}
		if unread == 0 {
			break
		}
		if time.Now().After(until) {
			return fmt.Errorf("cannot write: %d bytes were not read within %v", unread, patience)
		}
		time.Sleep(lookAgain)
	}
	_, err := w.conn.Write(packet)
	return err
}

// unread returns how much memory holds what the peer has not read, in bytes.
func (w *wholeWriter) unread() (int, error) {
	var n int
	var err error
	if ctl := w.raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }); ctl != nil {
		return 0, fmt.Errorf("cannot look into the socket: %w", ctl)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot tell what the peer has not read: %w", err)
	}
	return n, nil
}
