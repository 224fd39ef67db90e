package rfcomm

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/link"
)

// pieceSize is the most that one write(2) passes to an RFCOMM socket, in bytes.
//
// The kernel (bt_skb_sendmmsg, since 5.16; bug 215594) cuts a write into frames
// and allocates all of them before it queues the first. The memory counts
// against the socket's send buffer, 50,800 bytes unless set, and comes back only
// when frames were sent. So a write that does not fit waits for itself: on a
// blocking descriptor until the send time-out, again and again, about 8 kB in
// 30 s. Three things together avoid it: the descriptor does not block, so that
// a piece that fits in part is written in part; a piece is far below the send
// buffer, so that it fits whenever the buffer has drained; and what was not
// taken is written again when the socket is writable.
const pieceSize = 4 << 10

// addr is the Bluetooth address of one end.
type addr struct{ link.Address }

// Network implements net.Addr.
func (addr) Network() string { return "bluetooth" }

// conn is one connection. It implements net.Conn.
type conn struct {
	file    *os.File
	local   addr
	remote  addr
	writing sync.Mutex // keeps the pieces of one Write together
	done    atomic.Bool
}

func newConn(s bluez.Socket) *conn {
	return &conn{
		file:   s.File,
		local:  addr{link.Address(s.Local)},
		remote: addr{link.Address(s.Peer)},
	}
}

// Read implements net.Conn. A hang-up by the peer is the end of the stream; the
// kernel gives what was received first.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.file.Read(b)
	if errors.Is(err, syscall.ECONNRESET) {
		err = io.EOF
	}
	return n, c.closed(err)
}

// Write implements net.Conn. See pieceSize.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	written := 0
	for written < len(b) {
		piece := b[written:min(written+pieceSize, len(b))]
		n, err := c.file.Write(piece) // goes on after short writes
		written += n
		if err != nil {
			return written, c.closed(err)
		}
	}
	return written, nil
}

// Close implements net.Conn. What was written is still sent.
func (c *conn) Close() error {
	c.done.Store(true)
	bluez.HangUp(c.file)
	return nil
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return c.closed(c.file.SetDeadline(t)) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.closed(c.file.SetReadDeadline(t)) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.closed(c.file.SetWriteDeadline(t)) }

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// closed speaks of a closed connection as package net does. While it is being
// closed, a Read under way sees an end and a Write a broken pipe.
func (c *conn) closed(err error) error {
	if err != nil && (c.done.Load() || errors.Is(err, os.ErrClosed)) {
		return net.ErrClosed
	}
	return err
}
