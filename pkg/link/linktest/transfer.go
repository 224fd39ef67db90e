package linktest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

const (
	defaultTransfer    = 4 << 20
	defaultConnections = 16
	defaultCycles      = 100
)

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func testLargeTransfer(t *testing.T, p Pair) {
	device, reader := connect(t, p)
	// The size decides how long this may take, whatever the link.
	for _, conn := range []net.Conn{device, reader} {
		if err := conn.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	bothWays(t, device, reader, or(p.Transfer, defaultTransfer), 1)
}

// bothWays sends size bytes in each direction at once and compares digests. The
// seed makes every connection's bytes its own.
func bothWays(t *testing.T, a, b net.Conn, size int, seed uint64) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for i, way := range [][2]net.Conn{{a, b}, {b, a}} {
		key := seed<<1 | uint64(i)
		wg.Go(func() { errs <- pour(way[0], size, key) })
		wg.Go(func() { errs <- drain(way[1], size, key) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

func stream(size int, key uint64) io.Reader {
	var seed [32]byte
	seed[0], seed[1], seed[2] = byte(key), byte(key>>8), byte(key>>16)
	return io.LimitReader(rand.NewChaCha8(seed), int64(size))
}

func pour(w io.Writer, size int, key uint64) error {
	if _, err := io.Copy(struct{ io.Writer }{w}, stream(size, key)); err != nil {
		return fmt.Errorf("cannot send: %w", err)
	}
	return nil
}

func drain(r io.Reader, size int, key uint64) error {
	want, got := sha256.New(), sha256.New()
	if _, err := io.Copy(want, stream(size, key)); err != nil {
		return err
	}
	if n, err := io.Copy(got, io.LimitReader(r, int64(size))); err != nil || n != int64(size) {
		return fmt.Errorf("received %d of %d bytes: %w", n, size, err)
	}
	if string(want.Sum(nil)) != string(got.Sum(nil)) {
		return fmt.Errorf("%d bytes arrived changed", size)
	}
	return nil
}

func testManyConnections(t *testing.T, p Pair) {
	var wg sync.WaitGroup
	for i := range or(p.Connections, defaultConnections) {
		device, reader := connect(t, p)
		wg.Go(func() { bothWays(t, device, reader, 64<<10, uint64(i+1)) })
	}
	wg.Wait()
}

// testCycles connects, transfers and drops, and requires that no goroutine
// stays behind.
func testCycles(t *testing.T, p Pair) {
	cycle := func(i int) {
		device, reader := connectBare(t, p)
		bothWays(t, device, reader, 512, uint64(i))
		_ = device.Close()
		_ = reader.Close()
	}
	cycle(0)
	before := runtime.NumGoroutine()
	for i := range or(p.Cycles, defaultCycles) {
		cycle(i)
	}
	const slack = 5
	end := time.Now().Add(patience)
	for runtime.NumGoroutine() > before+slack {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
