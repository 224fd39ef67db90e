package bustest

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// Connect opens a connection for the test to use, as one more client.
func (b *Bus) Connect(t testing.TB) *dbus.Conn {
	t.Helper()
	conn, err := busapi.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Quiet is a logger that says nothing.
func Quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// ServeDevice runs a reprovisiond's object on the bus and waits until it answers.
// stop ends it; the end of the test does so too. Each change of options is
// applied before it runs.
func (b *Bus) ServeDevice(t testing.TB, backend busapi.DeviceBackend, options ...func(*busapi.Device)) (d *busapi.Device, stop func()) {
	t.Helper()
	d = busapi.NewDevice(b.Connect(t), backend, Quiet())
	for _, o := range options {
		o(d)
	}
	return d, serve(t, d.Run, d.Ready())
}

// ServeReader is ServeDevice for scrd's object.
func (b *Bus) ServeReader(t testing.TB, backend busapi.ReaderBackend) (r *busapi.Reader, stop func()) {
	t.Helper()
	r = busapi.NewReader(b.Connect(t), backend, Quiet())
	return r, serve(t, r.Run, r.Ready())
}

func serve(t testing.TB, run func(context.Context) error, ready <-chan struct{}) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatalf("the daemon's object ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the daemon's object did not get ready")
	}
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the daemon's object ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("the daemon's object did not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// Wait waits for a channel to be closed or to give a value.
func Wait[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s did not happen in %s", what, patience)
	}
	return v
}

// Until waits for a condition that becomes true by itself.
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen in %s", what, patience)
		}
	}
}
