package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// monitoring runs monitor and gives its lines.
func monitoring(t *testing.T, env func(string) string) (out, notes *bufio.Reader) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"monitor"}, Stdio{In: strings.NewReader(""), Out: outW, Err: errW}, env)
		errW.Close()
	}()
	t.Cleanup(func() {
		cancel()
		go io.Copy(io.Discard, errR)
		if code := bustest.Wait(t, ended, "the end of monitor"); code != 0 {
			t.Errorf("monitor ended with exit code %d", code)
		}
	})
	return bufio.NewReader(outR), bufio.NewReader(errR)
}

func next(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	got := make(chan string, 1)
	go func() { line, _ := r.ReadString('\n'); got <- line }()
	return bustest.Wait(t, got, "a line")
}

func TestMonitorFollowsBothAcrossRestarts(t *testing.T) {
	bus := bustest.Start(t)
	out, notes := monitoring(t, bus.Env)
	for range 2 {
		if line := next(t, notes); !strings.Contains(line, "is not running; waiting for it") {
			t.Errorf("got %q", line)
		}
	}
	for range 2 {
		device, stopDevice := bus.ServeDevice(t, &bustest.Device{})
		if line := next(t, notes); line != "scrctl: following the device's daemon\n" {
			t.Errorf("got %q", line)
		}
		device.Emit(busapi.Event{Time: "2026-01-02T03:04:05Z", Side: "device", Event: "verdict", Fields: map[string]any{
			"verdict": "erased", "path": "/a\x1b", "count": int64(2), "deep": false, "paths": []string{"x"},
		}})
		want := `{"time":"2026-01-02T03:04:05Z","side":"device","event":"verdict","count":2,"deep":false,"path":"/a\u001b","paths":["x"],"verdict":"erased"}` + "\n"
		if line := next(t, out); line != want {
			t.Errorf("got %q, want %q", line, want)
		}
		stopDevice()
		next(t, notes)
		reader, stopReader := bus.ServeReader(t, &bustest.Reader{})
		next(t, notes)
		reader.Emit(busapi.Event{Time: "t", Side: "reader", Event: "card"})
		if line := next(t, out); line != `{"time":"t","side":"reader","event":"card"}`+"\n" {
			t.Errorf("got %q", line)
		}
		stopReader()
		next(t, notes)
	}
}

// One side that cannot be followed does not end the other.
func TestMonitorWithOneBus(t *testing.T) {
	bus := bustest.Start(t)
	env := func(name string) string {
		if name == "REPROVISION_READER_BUS_ADDRESS" {
			return "unix:path=" + bus.Dir + "/none"
		}
		return bus.Env(name)
	}
	out, notes := monitoring(t, env)
	next(t, notes)
	next(t, notes)
	device, _ := bus.ServeDevice(t, &bustest.Device{})
	next(t, notes)
	device.Emit(busapi.Event{Time: "t", Side: "device", Event: "link"})
	if line := next(t, out); !strings.Contains(line, `"event":"link"`) {
		t.Errorf("got %q", line)
	}
}

func TestMonitorEndsWhenItsOutputDoes(t *testing.T) {
	bus := bustest.Start(t)
	device, _ := bus.ServeDevice(t, &bustest.Device{})
	errR, errW := io.Pipe()
	notes := bufio.NewReader(errR)
	ended := make(chan int, 1)
	go func() {
		ended <- Main(context.Background(), []string{"monitor"}, Stdio{In: strings.NewReader(""), Out: brokenWriter{}, Err: errW}, bus.Env)
	}()
	for range 2 {
		next(t, notes)
	}
	go io.Copy(io.Discard, notes)
	device.Emit(busapi.Event{Time: "t", Side: "device", Event: "link"})
	if code := bustest.Wait(t, ended, "the end of monitor"); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func FuzzEventLine(f *testing.F) {
	f.Add("t", "device", "link", "path", "/a\nb")
	f.Add("\xff", "\"", "}\n{", "time", "\u2028")
	f.Fuzz(func(t *testing.T, time, side, event, name, value string) {
		line, err := eventLine(busapi.Event{Time: time, Side: side, Event: event, Fields: map[string]any{name: value}})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(line, &back); err != nil || strings.Count(string(line), "\n") != 1 {
			t.Fatalf("%q is not one line of JSON: %v", line, err)
		}
	})
}
