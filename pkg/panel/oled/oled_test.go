package oled_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/keep"
	"github.com/reprovision/reprovision/pkg/panel/oled"
	"github.com/reprovision/reprovision/pkg/panel/picture"
)

// rig is a screen at a chip, in time of its own.
type rig struct {
	*testing.T
	chip    *chip
	record  *i2ctest.Record
	display *panel.Display
	log     notes
	missing atomic.Bool // the bus
}

// run runs a test with a screen. The chip has no power before.
func run(t *testing.T, change func(*oled.Config), test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, chip: &chip{address: oled.DefaultAddress}, display: panel.New()}
		r.chip.power(true)
		r.record = &i2ctest.Record{Bus: r.chip}
		cfg := oled.Config{
			Display: r.display, Logger: slog.New(slog.NewTextHandler(&r.log, nil)), Dim: time.Minute, Off: 10 * time.Minute,
			Open: func() (i2c.BusCloser, error) {
				if r.missing.Load() {
					return nil, errors.New("no such bus")
				}
				return closer{r.record}, nil
			},
		}
		change(&cfg)
		s, err := oled.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		test(r)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if end := r.chip.look(); !r.chip.gone && !r.missing.Load() && (end.on || end.ram != [8][128]byte{}) {
			t.Error("something is left on the display")
		}
	})
}

// notes is a log that several goroutines use.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// ops is what went over the bus so far.
func (r *rig) ops() []i2ctest.IO {
	r.record.Lock()
	defer r.record.Unlock()
	return slices.Clone(r.record.Ops)
}

// after lets time pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// shows finds the picture of the present view on the chip, that bright.
func (r *rig) shows(on bool, contrast byte) {
	r.Helper()
	draw, err := picture.New()
	if err != nil {
		r.Fatal(err)
	}
	got := r.chip.look()
	if on && !bytes.Equal(bytes.Join([][]byte{got.ram[0][:], got.ram[1][:], got.ram[2][:], got.ram[3][:], got.ram[4][:], got.ram[5][:], got.ram[6][:], got.ram[7][:]}, nil), draw.Draw(r.display.View()).Pix) {
		r.Errorf("the picture of %+v is not on the display", r.display.View())
	}
	if got.on != on || on && got.contrast != contrast {
		r.Errorf("on %v with contrast %x, want %v with %x", got.on, got.contrast, on, contrast)
	}
}

// logged counts the lines of the log.
func (r *rig) logged(want int) {
	r.Helper()
	if got := strings.Count(r.log.String(), "\n"); got != want {
		r.Errorf("%d lines in the log, want %d:\n%s", got, want, r.log.String())
	}
}

func plain(*oled.Config) {}

func TestShowsViews(t *testing.T) {
	run(t, plain, func(r *rig) {
		r.shows(true, 0xff)
		for _, show := range []func(){
			func() { r.display.ShowAddress("00:1A:7D:DA:71:13") },
			func() { r.display.ShowPasscode("31415926") },
			func() { r.display.ShowPasscode("31415927") },
			func() { r.display.ShowPaired("phone") },
			r.display.Clear,
		} {
			show()
			synctest.Wait()
			r.shows(true, 0xff)
		}
		r.logged(0)
	})
}

// TestSameTraffic plays back what was recorded: the same views are the same bytes, and
// nothing else.
func TestSameTraffic(t *testing.T) {
	pairs := func(r *rig) {
		r.display.ShowPasscode("31415926")
		r.after(time.Minute)
	}
	var first []i2ctest.IO
	run(t, plain, func(r *rig) { pairs(r); first = r.ops() })
	again := &i2ctest.Playback{Ops: first, DontPanic: true}
	run(t, plain, func(r *rig) {
		pairs(r)
		for _, op := range r.ops() {
			if err := again.Tx(op.Addr, op.W, op.R); err != nil {
				t.Fatal(err)
			}
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAddressAndTurn(t *testing.T) {
	run(t, func(cfg *oled.Config) { cfg.Address, cfg.Rotate = 0x3d, true }, func(r *rig) {
		r.logged(1)
		r.chip.move(0x3d)
		r.after(keep.DefaultRetry)
		r.shows(true, 0xff)
		if got := r.chip.look().remap; got != 0xa0 {
			t.Errorf("not turned: %x", got)
		}
	})
}

func TestBusMissing(t *testing.T) {
	run(t, plain, func(r *rig) {
		r.missing.Store(true)
		r.chip.power(false)
		r.after(time.Hour)
		r.logged(1)
		r.display.ShowPasscode("31415926")
		r.missing.Store(false)
		r.chip.power(true)
		r.after(keep.DefaultRetry)
		r.shows(true, 0xff)
		r.logged(2)
	})
}

// TestUnplugged has the display go and come back, between views and with a view.
func TestUnplugged(t *testing.T) {
	run(t, plain, func(r *rig) {
		r.display.ShowAddress("00:1A:7D:DA:71:13")
		r.after(time.Second)
		r.chip.power(false)
		r.after(time.Minute)
		r.logged(1)
		r.chip.power(true)
		r.after(keep.DefaultRetry)
		r.shows(true, 0xff)
		r.logged(2)

		r.chip.power(false)
		r.display.ShowPasscode("31415926") // while nobody sees it
		r.display.ShowPasscode("27182818")
		r.after(time.Second)
		r.logged(3)
		r.chip.power(true)
		r.after(keep.DefaultRetry)
		r.shows(true, 0xff)
		r.logged(4)
	})
}

func TestSpared(t *testing.T) {
	run(t, plain, func(r *rig) {
		r.after(time.Minute - time.Second)
		r.shows(true, 0xff)
		r.after(2 * time.Second)
		r.shows(true, 0x01)
		r.after(10 * time.Minute)
		r.shows(false, 0)
		r.display.SetNotice("phone: for 3 days")
		synctest.Wait()
		r.shows(true, 0xff)
		r.after(10*time.Minute + time.Second)
		r.shows(false, 0)
		r.after(52 * time.Second)
		r.shows(true, 0x01) // for a glimpse
		r.after(10 * time.Second)
		r.shows(false, 0)
		r.display.ShowPasscode("31415926")
		r.after(time.Hour)
		r.shows(true, 0xff)
	})
}

func TestWear(t *testing.T) {
	idle, alert := panel.View{State: panel.Idle}, panel.View{State: panel.Alert}
	both := oled.Wear{Dim: time.Minute, Off: time.Hour}
	for _, c := range []struct {
		wear  oled.Wear
		view  panel.View
		shown time.Duration
		level oled.Level
		next  time.Duration
	}{
		{oled.Wear{}, idle, 1000 * time.Hour, oled.Bright, 0},
		{both, idle, 0, oled.Bright, time.Minute},
		{both, idle, time.Minute, oled.Dimmed, 59 * time.Minute},
		{both, idle, time.Hour, oled.Dark, 0},
		{both, alert, time.Hour, oled.Dark, 50 * time.Second},
		{both, alert, time.Hour + 50*time.Second, oled.Dimmed, 10 * time.Second},
		{both, alert, time.Hour + time.Minute, oled.Dark, 50 * time.Second},
		{oled.Wear{Dim: time.Hour}, idle, 0, oled.Bright, time.Hour},
		{oled.Wear{Dim: time.Hour}, idle, time.Hour, oled.Dimmed, 0},
		{oled.Wear{Off: time.Hour}, idle, time.Minute, oled.Bright, 59 * time.Minute},
		{oled.Wear{Dim: time.Hour, Off: time.Minute}, idle, time.Minute, oled.Dark, 0},
		{both, panel.View{State: panel.Passcode}, 24 * time.Hour, oled.Bright, 0},
	} {
		if level, next := c.wear.At(c.view, c.shown); level != c.level || next != c.next {
			t.Errorf("%+v of %s after %s: %v, %s", c.wear, c.view.State, c.shown, level, next)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := oled.New(oled.Config{}); err == nil {
		t.Error("a screen without a bus is made")
	}
}
