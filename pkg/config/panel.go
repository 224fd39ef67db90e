package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Panel says what displays and buttons the reader has (reference signs 312 and 324).
// What D-Bus shows and takes is there in any case.
type Panel struct {
	Terminal  string    `toml:"terminal"`   // path; default none
	LongPress Duration  `toml:"long_press"` // of a button that is held
	OLED      OLED      `toml:"oled"`
	Key       PanelKey  `toml:"key"`
	GPIO      PanelGPIO `toml:"gpio"`
}

// OLED is an SSD1306 display at an I2C bus.
type OLED struct {
	Bus      string   `toml:"bus"`       // "/dev/i2c-1"; default none
	Address  int64    `toml:"address"`   // 0x3c or 0x3d
	Rotate   bool     `toml:"rotate"`    // by half a turn
	DimAfter Duration `toml:"dim_after"` // without anything new to show; 0 never
	OffAfter Duration `toml:"off_after"` // the same
}

// PanelKey is a key of an input device that is the button.
type PanelKey struct {
	Device string `toml:"device"` // path or name; default none
	Code   int64  `toml:"code"`   // as linux/input-event-codes.h has them
}

// PanelGPIO is a push button at a GPIO line.
type PanelGPIO struct {
	Chip       string `toml:"chip"` // "/dev/gpiochip0"; default none
	Line       int64  `toml:"line"`
	Pull       string `toml:"pull"`        // "up", "down" or "none"
	ActiveHigh bool   `toml:"active_high"` // pressed is high
}

func defaultPanel() Panel {
	return Panel{
		LongPress: Duration{2 * time.Second},
		OLED:      OLED{Address: 0x3c, DimAfter: Duration{time.Minute}, OffAfter: Duration{10 * time.Minute}},
		GPIO:      PanelGPIO{Line: 17, Pull: "up"},
	}
}

// The bounds of the panel's numbers.
const (
	maxKeyCode    = 0x2ff // KEY_MAX
	maxGPIOLine   = 1023
	maxDeviceName = 255 // bytes of an input device's name
)

// busForm is an I2C bus; BusNumber relies on it.
const busForm = `^/dev/i2c-[0-9]{1,3}$`

// BusNumber is that of the display's I2C bus; false without a display.
func (o OLED) BusNumber() (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(o.Bus, "/dev/i2c-"))
	return n, err == nil
}

func (p Panel) check() *Error {
	return first(
		checkOptionalFile("panel.terminal", p.Terminal),
		within("panel.long_press", p.LongPress, 500*time.Millisecond, time.Minute),
		p.OLED.check(),
		p.Key.check(),
		p.GPIO.check(),
	)
}

func (o OLED) check() *Error {
	if o.Bus != "" && !regexp.MustCompile(busForm).MatchString(o.Bus) {
		return &Error{Key: "panel.oled.bus", Why: fmt.Sprintf("%q is no I2C bus such as /dev/i2c-1", o.Bus)}
	}
	if o.Address != 0x3c && o.Address != 0x3d {
		return &Error{Key: "panel.oled.address", Why: fmt.Sprintf("%#x is neither 0x3c nor 0x3d", o.Address)}
	}
	return first(
		within("panel.oled.dim_after", o.DimAfter, 0, 24*time.Hour),
		within("panel.oled.off_after", o.OffAfter, 0, 24*time.Hour),
	)
}

func (k PanelKey) check() *Error {
	switch {
	case k.Device == "" && k.Code == 0:
		return nil
	case k.Device == "":
		return &Error{Key: "panel.key.device", Why: "is missing: the path or the name of the input device with that key"}
	case len(k.Device) > maxDeviceName:
		return &Error{Key: "panel.key.device", Why: fmt.Sprintf("longer than %d bytes", maxDeviceName)}
	case k.Code < 1 || k.Code > maxKeyCode:
		return &Error{Key: "panel.key.code", Why: fmt.Sprintf("%d is not within 1 and %d", k.Code, maxKeyCode)}
	}
	return nil
}

func (g PanelGPIO) check() *Error {
	if g.Line < 0 || g.Line > maxGPIOLine {
		return &Error{Key: "panel.gpio.line", Why: fmt.Sprintf("%d is not within 0 and %d", g.Line, maxGPIOLine)}
	}
	return first(
		checkOptionalFile("panel.gpio.chip", g.Chip),
		oneOf("panel.gpio.pull", g.Pull, "up", "down", "none"),
	)
}
