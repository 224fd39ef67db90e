package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// A copy is asked for by its length, eight bytes big-endian. The answer is that
// many bytes of a fixed sequence, so that a lost or exchanged one is noticed.
const (
	maxBytes = 16 << 20
	period   = 251 // of the sequence; no power of two, as the sizes of buffers are
)

// sequence is n bytes of the sequence from its byte number at on.
func sequence(at int64, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((at + int64(i)) % period)
	}
	return b
}

// answer sends what a peer asks for, in writes of the given size.
func answer(conn io.ReadWriter, piece int) error {
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint64(head[:])
	if n > maxBytes {
		return fmt.Errorf("the peer asks for %d bytes", n)
	}
	for at := int64(0); at < int64(n); at += int64(piece) {
		if _, err := conn.Write(sequence(at, int(min(int64(piece), int64(n)-at)))); err != nil {
			return err
		}
	}
	// The peer hangs up when it has everything, which a bare socket calls a reset.
	_, err := conn.Read(head[:1])
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		return nil
	}
	return err
}

// fetch asks for n bytes, checks them and returns how many came in a second.
func fetch(conn io.ReadWriter, n int64) (float64, error) {
	begun := time.Now()
	if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, uint64(n))); err != nil {
		return 0, err
	}
	buffer := make([]byte, 16<<10)
	for at := int64(0); at < n; {
		got, err := conn.Read(buffer[:min(int64(len(buffer)), n-at)])
		if !bytes.Equal(buffer[:got], sequence(at, got)) {
			return 0, fmt.Errorf("wrong bytes after %d", at)
		}
		at += int64(got)
		if err != nil && at < n {
			return 0, fmt.Errorf("cannot read more than %d bytes: %w", at, err)
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}
