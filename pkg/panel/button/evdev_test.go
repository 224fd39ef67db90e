package button

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// raw is what the kernel gives of events.
func raw(events ...event) []byte {
	var out []byte
	for _, e := range events {
		out = append(out, make([]byte, eventSize()-8)...)
		out = binary.NativeEndian.AppendUint16(out, e.kind)
		out = binary.NativeEndian.AppendUint16(out, e.code)
		out = binary.NativeEndian.AppendUint32(out, uint32(e.value))
	}
	return out
}

func TestParseEvents(t *testing.T) {
	want := []event{{evKey, 28, 1}, {evSyn, 0, 0}, {evKey, 28, 0}, {2, 1, -5}}
	if got := parseEvents(raw(want...)); !slices.Equal(got, want) {
		t.Errorf("read %v", got)
	}
	if got := parseEvents(raw(want...)[:eventSize()*2-1]); len(got) != 1 {
		t.Errorf("read %v of one and a part", got)
	}
}

func FuzzParseEvents(f *testing.F) {
	f.Add(raw(event{evKey, 28, 1}))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got := parseEvents(in)
		if len(got) != len(in)/eventSize() {
			t.Fatalf("%d events of %d bytes", len(got), len(in))
		}
		again := raw(got...)
		for i := range got {
			at := (i + 1) * eventSize()
			if !bytes.Equal(again[at-8:at], in[at-8:at]) {
				t.Fatalf("event %d is not what was there", i)
			}
		}
	})
}

func TestKeyMissing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "event0")
	if err := os.WriteFile(file, raw(event{evKey, 28, 1}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range []Key{
		{Device: filepath.Join(t.TempDir(), "event1"), Code: 28},
		{Device: file, Code: 28}, // a file is no device
		{Device: "a button", Code: 28, Dir: filepath.Dir(file)},
	} {
		err := k.Follow(t.Context(), func() { t.Errorf("%s is used", k) }, func(bool) { t.Errorf("%s is pressed", k) })
		if err == nil {
			t.Errorf("%s: no error", k)
		}
	}
}

// uinput is an input device of the kernel's that a test makes (linux/uinput.h).
type uinput struct{ *os.File }

const (
	uiDevCreate  = 0x5501
	uiDevDestroy = 0x5502
	uiSetEvBit   = 0x40045564
	uiSetKeyBit  = 0x40045565
)

// plug makes a device of that name with the keys 28 and 148.
func plug(t *testing.T, name string) uinput {
	t.Helper()
	f, err := os.OpenFile("/dev/uinput", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ENODEV) {
		t.Skip("no /dev/uinput here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	u := uinput{f}
	for _, set := range []struct {
		request uint
		value   int
	}{{uiSetEvBit, evKey}, {uiSetKeyBit, 28}, {uiSetKeyBit, 148}} {
		u.must(t, unix.IoctlSetInt(int(f.Fd()), set.request, set.value))
	}
	setup := make([]byte, 80+8+4+4*64*4) // struct uinput_user_dev
	copy(setup, name)
	_, err = f.Write(setup)
	u.must(t, err)
	u.must(t, unix.IoctlSetInt(int(f.Fd()), uiDevCreate, 0))
	return u
}

func (u uinput) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (u uinput) unplug(t *testing.T) {
	t.Helper()
	u.must(t, unix.IoctlSetInt(int(u.Fd()), uiDevDestroy, 0))
	u.must(t, u.Close())
}

func (u uinput) key(t *testing.T, code uint16, value int32) {
	t.Helper()
	_, err := u.Write(raw(event{evKey, code, value}, event{evSyn, 0, 0}))
	u.must(t, err)
}

// TestKeyOfKernel presses a key of a device of the kernel's, pulls that device while the key is
// held, and plugs it in again. It runs where there is /dev/uinput, as in a guest of scripts/vm.
func TestKeyOfKernel(t *testing.T) {
	const name = "a reader's button"
	u := plug(t, name)
	var log bytes.Buffer
	presses := make(chan Press, 10)
	b, err := New(Config{
		Source: Key{Device: name, Code: 28}, Press: func(p Press) { presses <- p }, Long: 500 * time.Millisecond,
		Retry: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	u.must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()

	// Before the device is open nobody hears of its keys.
	pressUntil(t, u, presses)
	u.key(t, 148, 1) // another key
	u.key(t, 148, 0)
	u.key(t, 28, 1)
	want(t, presses, Long)
	u.key(t, 28, 0)
	u.key(t, 28, 1)
	u.unplug(t)
	u = plug(t, name)
	defer u.unplug(t)
	pressUntil(t, u, presses)

	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(presses) != 0 {
		t.Errorf("one press too many: %v", <-presses)
	}
}

// pressUntil presses the key until that is heard, and takes what is heard late.
func pressUntil(t *testing.T, u uinput, presses <-chan Press) {
	t.Helper()
	for range 200 {
		u.key(t, 28, 1)
		u.key(t, 28, 0)
		select {
		case p := <-presses:
			if p != Short {
				t.Fatalf("a %v press", p)
			}
			time.Sleep(200 * time.Millisecond)
			for len(presses) > 0 {
				<-presses
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("nobody hears the key")
}

func want(t *testing.T, presses <-chan Press, press Press) {
	t.Helper()
	select {
	case p := <-presses:
		if p != press {
			t.Fatalf("a %v press, want %v", p, press)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no %v press", press)
	}
}
