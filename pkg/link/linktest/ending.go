package linktest

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func testEOFAfterData(t *testing.T, p Pair) {
	device, reader := connect(t, p)
	send(t, device, "last words")
	if err := device.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	rest, err := io.ReadAll(reader)
	if err != nil || string(rest) != "last words" {
		t.Fatalf("read %q, %v; want the data, then EOF", rest, err)
	}
}

// testHalfClose is for links that can end one direction; RFCOMM cannot.
func testHalfClose(t *testing.T, p Pair) {
	device, reader := connect(t, p)
	half, ok := device.(interface{ CloseWrite() error })
	if !ok {
		t.Skip("this link has no half close")
	}
	send(t, device, "question")
	if err := half.CloseWrite(); err != nil {
		t.Fatalf("CloseWrite: %v", err)
	}
	if rest, err := io.ReadAll(reader); err != nil || string(rest) != "question" {
		t.Fatalf("read %q, %v", rest, err)
	}
	send(t, reader, "answer")
	expect(t, device, "answer")
}

func testCloseUnblocksRead(t *testing.T, p Pair) {
	device, _ := connect(t, p)
	result := make(chan error, 1)
	go func() {
		_, err := device.Read(make([]byte, 1))
		result <- err
	}()
	time.Sleep(10 * time.Millisecond) // lets the read block in most runs
	if err := device.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := <-result; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read = %v; want net.ErrClosed", err)
	}
}

// testPeerGone requires that a writer learns of a dead peer.
func testPeerGone(t *testing.T, p Pair) {
	device, reader := connect(t, p)
	if err := reader.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	piece := make([]byte, 1024)
	for {
		_, err := device.Write(piece)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("writes to a peer that is gone go on for ever")
		}
		if err != nil {
			return
		}
	}
}

func testReadDeadline(t *testing.T, p Pair) {
	device, reader := connect(t, p)
	if err := device.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatalf("SetReadDeadline: %v", err)
	}
	if _, err := device.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Read = %v; want os.ErrDeadlineExceeded", err)
	}
	guard(t, device)
	send(t, reader, "late")
	expect(t, device, "late")
}

func testWriteDeadline(t *testing.T, p Pair) {
	device, _ := connect(t, p)
	if err := device.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatalf("SetWriteDeadline: %v", err)
	}
	piece := make([]byte, 4096)
	for begun := time.Now(); time.Since(begun) < patience; {
		_, err := device.Write(piece)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatalf("Write = %v; want os.ErrDeadlineExceeded", err)
		}
	}
	t.Fatal("writes that nobody reads never block")
}
