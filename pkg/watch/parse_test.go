package watch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func inotifyBytes(wd int32, mask uint32, name string, padded int) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	b = binary.NativeEndian.AppendUint32(b, mask)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(padded))
	return append(b, append([]byte(name), make([]byte, padded-len(name))...)...)
}

func TestParseInotify(t *testing.T) {
	data := append(inotifyBytes(7, unix.IN_CREATE, "name", 16), inotifyBytes(-1, unix.IN_Q_OVERFLOW, "", 0)...)
	got, err := parseInotify(data)
	want := []inotifyEvent{{7, unix.IN_CREATE, "name"}, {-1, unix.IN_Q_OVERFLOW, ""}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", got, err)
	}
	for n := range data {
		if n == 32 { // between two events
			continue
		}
		if _, err := parseInotify(data[:n]); n > 0 && !errors.Is(err, errMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzParseInotify(f *testing.F) {
	f.Add(inotifyBytes(7, unix.IN_CREATE, "name", 16))
	f.Add(inotifyBytes(-1, unix.IN_Q_OVERFLOW, "", 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, _ := parseInotify(data)
		if len(events)*unix.SizeofInotifyEvent > len(data) {
			t.Errorf("%d events in %d bytes", len(events), len(data))
		}
	})
}

// fanotifyBytes are an event with a DFID_NAME record, or none for a kind of 0.
func fanotifyBytes(mask uint64, kind byte, handle, name string) []byte {
	var info []byte
	if kind != 0 {
		info = append([]byte{kind, 0, 0, 0}, "fsidfsid"...)
		info = binary.NativeEndian.AppendUint32(info, uint32(len(handle)))
		info = binary.NativeEndian.AppendUint32(info, 1)
		info = append(append(append(info, handle...), name...), 0)
		binary.NativeEndian.PutUint16(info[2:], uint16(len(info)))
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.FAN_EVENT_METADATA_LEN+len(info)))
	b = append(b, fanVersion3, 0)
	b = binary.NativeEndian.AppendUint16(b, unix.FAN_EVENT_METADATA_LEN)
	b = binary.NativeEndian.AppendUint64(b, mask)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0)
	return append(b, info...)
}

func TestParseFanotify(t *testing.T) {
	handle := fanHandle{fsid: [8]byte([]byte("fsidfsid")), kind: 1, handle: "handle"}
	data := bytes.Join([][]byte{
		fanotifyBytes(unix.FAN_CREATE, unix.FAN_EVENT_INFO_TYPE_DFID_NAME, "handle", "name"),
		fanotifyBytes(unix.FAN_ATTRIB, unix.FAN_EVENT_INFO_TYPE_DFID, "handle", ""),
		fanotifyBytes(unix.FAN_ATTRIB, unix.FAN_EVENT_INFO_TYPE_FID, "other", ""),
		fanotifyBytes(unix.FAN_Q_OVERFLOW, 0, "", ""),
	}, nil)
	got, err := parseFanotify(data)
	want := []fanEvent{
		{unix.FAN_CREATE, handle, "name"}, {unix.FAN_ATTRIB, handle, "."}, {mask: unix.FAN_Q_OVERFLOW},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", got, err)
	}
	one := fanotifyBytes(unix.FAN_CREATE, unix.FAN_EVENT_INFO_TYPE_DFID_NAME, "handle", "name")
	for n := 1; n < len(one); n++ {
		if _, err := parseFanotify(one[:n]); !errors.Is(err, errMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, at := range []int{4, 6, unix.FAN_EVENT_METADATA_LEN + 2, unix.FAN_EVENT_METADATA_LEN + 12} {
		bad := bytes.Clone(one)
		bad[at] = 0xff
		if _, err := parseFanotify(bad); !errors.Is(err, errMalformed) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

func FuzzParseFanotify(f *testing.F) {
	f.Add(fanotifyBytes(unix.FAN_CREATE, unix.FAN_EVENT_INFO_TYPE_DFID_NAME, "handle", "name"))
	f.Add(fanotifyBytes(unix.FAN_Q_OVERFLOW, 0, "", ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, _ := parseFanotify(data)
		for _, e := range events {
			if len(e.dir.handle) > maxHandle {
				t.Errorf("a handle of %d bytes", len(e.dir.handle))
			}
		}
	})
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false}, {"/a", "/", true}, {"/", "/", true},
	} {
		if within(c.path, c.dir) != c.want {
			t.Errorf("within(%q, %q)", c.path, c.dir)
		}
	}
}

// TestQueueOverflow lets more happen than the kernel keeps.
func TestQueueOverflow(t *testing.T) {
	dir := t.TempDir()
	hints := newCoalescer()
	tr, err := openTree(hints, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.ino.close()
	if err := tr.add("keys", dir); err != nil {
		t.Fatal(err)
	}
	fan, fanErr := openFan()
	if fanErr == nil {
		defer fan.close()
		fanErr = fan.add("keys", dir, nil)
	}
	p := filepath.Join(dir, "f")
	if err := os.WriteFile(p, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 17_000 { // max_queued_events is 16,384, and events of one name are merged
		if err := os.Link(p, fmt.Sprint(p, i)); err != nil {
			t.Fatal(err)
		}
	}
	if !overflows(t, func() (bool, error) { lost, err := tr.read(); return len(lost) == 1 && lost[0] == "keys", err }) {
		t.Error("inotify's overflow was not told")
	}
	if fanErr != nil {
		t.Skipf("fanotify is not permitted here: %v", fanErr)
	}
	if !overflows(t, func() (bool, error) { _, lost, err := fan.read(); return lost, err }) {
		t.Error("fanotify's overflow was not told")
	}
}

func overflows(t *testing.T, read func() (bool, error)) bool {
	t.Helper()
	for range 500 {
		lost, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if lost {
			return true
		}
	}
	return false
}

// TestCoalescing wants one hint for a burst, not later than the window.
func TestCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoalescer()
		out := make(chan Hint)
		go c.deliver(t.Context(), out)
		start := time.Now()
		for i := range 10 {
			c.add("keys/b")
			c.add("keys/a")
			if i == 5 {
				time.Sleep(window / 2)
			}
		}
		h := <-out
		if len(h.Names) != 2 || h.Names[0] != "keys/a" || h.Root != "keys" || h.Rescan {
			t.Errorf("%+v", h)
		}
		if took := time.Since(start); took != window {
			t.Errorf("the hint came after %v", took)
		}
		c.add("keys/a")
		c.rescan("keys", false)
		c.add("keys/b")
		if h := <-out; !h.Rescan || h.Names != nil {
			t.Errorf("%+v", h)
		}
	})
}
