//go:build bluetooth

// These tests need a real bluetoothd with two controllers that hear each other,
// hci0 and hci1, and the right to change their settings: scripts/vm has them.
package rfcomm_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/link/linktest"
	"github.com/reprovision/reprovision/pkg/link/rfcomm"
)

const (
	deviceAdapter = "hci0"
	readerAdapter = "hci1"
	patience      = 60 * time.Second
)

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func logger(t testing.TB, name string) *slog.Logger {
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("side", name)
}

func systemBus(t testing.TB) *dbus.Conn {
	t.Helper()
	conn, err := dbus.ConnectSystemBus(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// world is a device and a reader on the two controllers of this host.
type world struct {
	device   *bluez.Client
	reader   *bluez.Client
	dialer   rfcomm.Dialer
	listener *rfcomm.Listener
}

func newWorld(t testing.TB) world {
	t.Helper()
	w := world{
		device: bluez.New(bluez.Config{Conn: systemBus(t), Role: bluez.Dialer, Adapter: deviceAdapter, Power: true, Logger: logger(t, "device")}),
		reader: bluez.New(bluez.Config{Conn: systemBus(t), Role: bluez.Server, Adapter: readerAdapter, Power: true, Name: "reader under test", Logger: logger(t, "reader")}),
	}
	w.dialer, w.listener = rfcomm.Dialer{Client: w.device}, rfcomm.NewListener(w.reader)
	start(t, w.device.Run)
	start(t, w.listener.Run)
	for _, c := range []*bluez.Client{w.device, w.reader} {
		if err := c.Wait(within(t, patience)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func start(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

// show opens the reader's window for the rest of the test.
func (w world) show(t testing.TB) {
	t.Helper()
	if err := w.reader.Show(within(t, patience), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
}

func (w world) connect(t testing.TB) (device, reader net.Conn) {
	t.Helper()
	ctx := within(t, patience)
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := w.listener.Accept(ctx)
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		accepted <- conn
	}()
	device, err := w.dialer.Dial(ctx, w.listener.Address())
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	return device, <-accepted
}

func TestConformance(t *testing.T) {
	linktest.Run(t, func(t *testing.T) linktest.Pair {
		w := newWorld(t)
		if os.Getenv("REPROVISION_NO_WINDOW") == "" {
			w.show(t)
		}
		return linktest.Pair{
			Dialer: w.dialer, Listener: w.listener,
			Absent:      link.Address{0x02, 0x13, 0x37, 0, 0, 1},
			Transfer:    1 << 20,
			Connections: 1, // BlueZ makes one connection of a profile to a peer
			Cycles:      20,
		}
	})
}

// TestAbsentIsFast wants no 30 s of silence.
func TestAbsentIsFast(t *testing.T) {
	w := newWorld(t)
	begun := time.Now()
	conn, err := w.dialer.Dial(within(t, patience), link.Address{0x02, 0x13, 0x37, 0, 0, 2})
	if conn != nil || !errors.Is(err, link.ErrUnreachable) {
		t.Fatalf("Dial to nobody = %v, %v; want ErrUnreachable", conn, err)
	}
	took := time.Since(begun)
	t.Logf("known after %.1f s: %v", took.Seconds(), err)
	if took > 13*time.Second {
		t.Errorf("it took %s", took)
	}
}

func count(t testing.TB) (fds, goroutines int, heap uint64) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return len(entries), runtime.NumGoroutine(), m.HeapAlloc
}

// TestManyCycles connects, transfers and drops 200 times in a row, and requires
// that nothing grows.
func TestManyCycles(t *testing.T) {
	const cycles = 200
	w := newWorld(t)
	w.show(t)
	cycle := func() {
		device, reader := w.connect(t)
		defer device.Close()
		defer reader.Close()
		message := make([]byte, 16<<10)
		go func() { _, _ = device.Write(message) }()
		if _, err := io.ReadFull(reader, message); err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Write([]byte("done")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(device, message[:4]); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	fds, goroutines, heap := count(t)
	begun := time.Now()
	for range cycles {
		cycle()
	}
	took := time.Since(begun)
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		nowFds, nowGoroutines, nowHeap := count(t)
		if nowFds <= fds+4 && nowGoroutines <= goroutines+4 && nowHeap < heap+4<<20 {
			t.Logf("%d cycles in %.1f s; descriptors %d to %d, goroutines %d to %d, heap %d to %d kB", cycles,
				took.Seconds(), fds, nowFds, goroutines, nowGoroutines, heap>>10, nowHeap>>10)
			return
		}
		if time.Now().After(end) {
			t.Fatalf("descriptors %d to %d, goroutines %d to %d, heap %d to %d kB",
				fds, nowFds, goroutines, nowGoroutines, heap>>10, nowHeap>>10)
		}
	}
}
