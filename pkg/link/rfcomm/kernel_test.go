//go:build bluetooth

package rfcomm_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/link"
)

// bareChannel is an RFCOMM channel that BlueZ does not hand out first.
const bareChannel = 27

// bare makes a connection of two plain RFCOMM sockets, without BlueZ's profiles
// and without this package. They block, as sockets do. The function end ends it.
func bare(t testing.TB, w world) (device, reader int, end func()) {
	t.Helper()
	socket := func() int {
		fd, err := unix.Socket(unix.AF_BLUETOOTH, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.BTPROTO_RFCOMM)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	bind := func(fd int, a link.Address, channel uint8) {
		if err := unix.Bind(fd, &unix.SockaddrRFCOMM{Addr: reversed(a), Channel: channel}); err != nil {
			t.Fatal(err)
		}
	}
	listener := socket()
	defer unix.Close(listener)
	bind(listener, w.listener.Address(), bareChannel)
	if err := unix.Listen(listener, 1); err != nil {
		t.Fatal(err)
	}
	// A link that is just being ended by the test before may take the new
	// connection with it. This kernel hangs for good when a listener is closed
	// that has a connection waiting, so one failure is not the end.
	for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
		device = socket()
		bind(device, link.Address(w.device.State().Address), 0)
		err := unix.Connect(device, &unix.SockaddrRFCOMM{Addr: reversed(w.listener.Address()), Channel: bareChannel})
		if err == nil {
			break
		}
		_ = unix.Close(device)
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	reader, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return device, reader, func() {
		for _, fd := range []int{device, reader} {
			_ = unix.Shutdown(fd, unix.SHUT_RDWR)
			_ = unix.Close(fd)
		}
	}
}

// reversed is the kernel's order of an address.
func reversed(a link.Address) (r [6]uint8) {
	for i := range a {
		r[i] = a[len(a)-1-i]
	}
	return r
}

// sink reads a descriptor to its end.
func sink(fd int) {
	b := make([]byte, 64<<10)
	for {
		if n, err := unix.Read(fd, b); n <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// stallSize is larger than the send buffer of an RFCOMM socket.
const stallSize = 256 << 10

// TestLargeWriteStallsWithoutPieces shows what conn.Write is for: the same bytes
// in one write(2) on a plain socket are not sent in ten seconds.
func TestLargeWriteStallsWithoutPieces(t *testing.T) {
	w := newWorld(t)
	w.show(t)
	device, reader, end := bare(t, w)
	defer end()
	// A receive that could be what is slow is none: somebody reads all the time.
	go sink(reader)
	done := make(chan time.Duration, 1)
	begun := time.Now()
	go func() {
		_, _ = unix.Write(device, make([]byte, stallSize))
		done <- time.Since(begun)
	}()
	select {
	case took := <-done:
		t.Errorf("one write of %d kB took %.1f s: this kernel does not stall, and pieces may not be needed", stallSize>>10, took.Seconds())
	case <-time.After(10 * time.Second):
		t.Logf("one write of %d kB had not ended after 10 s", stallSize>>10)
	}
}

// TestLargeWriteDoesNotStall is the same with the link's connection.
func TestLargeWriteDoesNotStall(t *testing.T) {
	w := newWorld(t)
	w.show(t)
	device, reader := w.connect(t)
	defer device.Close()
	defer reader.Close()
	for _, conn := range []interface{ SetDeadline(time.Time) error }{device, reader} {
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _, _ = device.Write(make([]byte, stallSize)) }()
	begun := time.Now()
	if _, err := io.CopyN(io.Discard, reader, stallSize); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kB in %.2f s", stallSize>>10, time.Since(begun).Seconds())
}

// TestThroughput compares the link with a bare copy in the same run: small
// writes on plain blocking sockets. The link is given large ones.
func TestThroughput(t *testing.T) {
	const size = 2 << 20
	w := newWorld(t)
	w.show(t)
	plain, through := 0.0, 0.0
	for range 3 { // in turns, so that a busy machine hits both
		bare, ended := bareRate(t, w, size)
		for tries := 1; !ended && tries < 5; tries++ {
			t.Log("a bare copy has stalled, as they do; another")
			bare, ended = bareRate(t, w, size)
		}
		plain = max(plain, bare)
		through = max(through, linkRate(t, w, size))
	}
	t.Logf("RFCOMM on one host: bare copy %.0f kB/s, link %.0f kB/s, %.0f %%", plain/1e3, through/1e3, 100*through/plain)
	if through < 0.8*plain {
		t.Errorf("the link reaches %.0f %% of a bare copy", 100*through/plain)
	}
}

// rate times the arrival of size bytes written length at a time, in bytes a second.
// ended is false when they have not arrived in a time that is ample.
func rate(t testing.TB, size, length int, write func([]byte) (int, error), read io.Reader) (perSecond float64, ended bool) {
	t.Helper()
	begun := time.Now()
	go func() {
		piece := make([]byte, length)
		for range size / len(piece) {
			if _, err := write(piece); err != nil {
				return
			}
		}
	}()
	arrived := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, read, int64(size))
		arrived <- err
	}()
	select {
	case err := <-arrived:
		if err != nil {
			t.Fatal(err)
		}
		return float64(size) / time.Since(begun).Seconds(), true
	case <-time.After(patience):
		return 0, false // the caller's closing ends both
	}
}

// bareRate copies without the link's care for the kernel's trap, and may run into it.
func bareRate(t testing.TB, w world, size int) (perSecond float64, ended bool) {
	t.Helper()
	device, reader, end := bare(t, w)
	defer end()
	write := func(b []byte) (int, error) { return unix.Write(device, b) }
	copied, err := unix.Dup(reader)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(copied), "bare")
	defer file.Close()
	return rate(t, size, 4<<10, write, file)
}

func linkRate(t testing.TB, w world, size int) float64 {
	t.Helper()
	device, reader := w.connect(t)
	defer device.Close()
	defer reader.Close()
	through, ended := rate(t, size, 1<<20, device.Write, reader)
	if !ended {
		t.Fatal("the link has stalled")
	}
	return through
}
