package virtual

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// Control codes of vpcd's protocol: messages of one byte.
const (
	controlOff   = 0
	controlOn    = 1
	controlReset = 2
	controlATR   = 4
)

// Plug is a card in a reader of vpcd. It ends when the card is pulled, by Pull
// or a hook, or when the reader goes away.
type Plug struct {
	conn  *net.TCPConn
	done  chan struct{}
	cause error
}

// Insert puts the card into the reader that vpcd listens for on address, a TCP
// host and port.
func (c *Card) Insert(ctx context.Context, address string) (*Plug, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot insert virtual card: %w", err)
	}
	p := &Plug{conn: conn.(*net.TCPConn), done: make(chan struct{})}
	c.Reset()
	go func() {
		defer close(p.done)
		defer conn.Close()
		p.cause = c.serve(p.conn)
	}()
	return p, nil
}

// Pull takes the card out and waits until it is.
func (p *Plug) Pull() {
	_ = p.conn.Close() // done is what counts
	<-p.done
}

// Done is closed when the card is out of the reader.
func (p *Plug) Done() <-chan struct{} { return p.done }

// Err tells, after Done, why the card is out: nil if it was pulled or the reader
// went away.
func (p *Plug) Err() error {
	if errors.Is(p.cause, net.ErrClosed) || errors.Is(p.cause, io.EOF) || errors.Is(p.cause, errPulled) ||
		errors.Is(p.cause, unix.ECONNRESET) || errors.Is(p.cause, unix.EPIPE) {
		return nil
	}
	return p.cause
}

// serve answers vpcd until the connection or the card ends.
func (c *Card) serve(conn *net.TCPConn) error {
	in := bufio.NewReader(quick{conn})
	for {
		message, err := readMessage(in)
		if err != nil {
			return err
		}
		answer, err := c.handle(message)
		if errors.Is(err, errMute) {
			_, err = io.Copy(io.Discard, in) // until pulled
			if err == nil {
				err = io.EOF
			}
		}
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		if _, err := conn.Write(frame(answer)); err != nil {
			return err
		}
	}
}

// handle runs one message, a control code or a command APDU; nil is no answer.
func (c *Card) handle(message []byte) ([]byte, error) {
	if len(message) != 1 {
		return c.process(message)
	}
	switch message[0] {
	case controlATR:
		return c.ATR(), nil
	case controlOff, controlOn, controlReset:
		c.Reset()
	}
	return nil, nil
}

// readMessage reads a message with its length of two bytes in front.
func readMessage(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

// quick acknowledges at once what it reads. vpcd sends length and message in two
// segments, so that with delayed acknowledgements Nagle's algorithm would hold
// back every message for 40 ms. The kernel forgets the option, hence each time.
type quick struct{ conn *net.TCPConn }

func (q quick) Read(p []byte) (int, error) {
	raw, err := q.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	set := func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }
	if ctrl := raw.Control(set); ctrl != nil {
		return 0, ctrl
	}
	if err != nil {
		return 0, err
	}
	return q.conn.Read(p)
}
