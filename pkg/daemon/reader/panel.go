package reader

import (
	"context"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/host/v3/sysfs"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/panel/button"
	"github.com/reprovision/reprovision/pkg/panel/oled"
	"github.com/reprovision/reprovision/pkg/panel/terminal"
)

// runner is a part that Run runs.
type runner interface{ Run(context.Context) error }

// openPanel makes the displays (reference sign 312) and buttons (324) that the settings
// name. It opens none of their devices: those come and go.
func (d *Daemon) openPanel() error {
	if d.mirror.reader != nil {
		d.panel.SetCard(cardText(d.card().State))
	}
	cfg := d.cfg.Panel
	if cfg.Terminal != "" {
		t, err := terminal.New(terminal.Config{Display: d.panel, Path: cfg.Terminal, Logger: d.log})
		if err != nil {
			return err
		}
		d.screens = append(d.screens, t)
	}
	if bus, is := cfg.OLED.BusNumber(); is {
		o, err := oled.New(oled.Config{
			Display: d.panel, Open: func() (i2c.BusCloser, error) { return sysfs.NewI2C(bus) }, Address: uint16(cfg.OLED.Address),
			Rotate: cfg.OLED.Rotate, Dim: cfg.OLED.DimAfter.Duration, Off: cfg.OLED.OffAfter.Duration, Logger: d.log,
		})
		if err != nil {
			return err
		}
		d.screens = append(d.screens, o)
	}
	return d.openButtons(cfg)
}

func (d *Daemon) openButtons(cfg config.Panel) error {
	var sources []button.Source
	if cfg.Key.Device != "" {
		sources = append(sources, button.Key{Device: cfg.Key.Device, Code: uint16(cfg.Key.Code)})
	}
	if cfg.GPIO.Chip != "" {
		sources = append(sources, button.Line{
			Chip: cfg.GPIO.Chip, Offset: int(cfg.GPIO.Line), Pull: button.Pull(cfg.GPIO.Pull), ActiveHigh: cfg.GPIO.ActiveHigh,
		})
	}
	for _, s := range sources {
		b, err := button.New(button.Config{Source: s, Press: d.pressed, Long: cfg.LongPress.Duration, Logger: d.log})
		if err != nil {
			return err
		}
		d.screens = append(d.screens, b)
	}
	return nil
}

// pressed is a press of a button that is a device: a short one is step 410, a long one
// ends the pairing that goes on.
func (d *Daemon) pressed(p button.Press) {
	d.log.Info("button", "press", p.String())
	if p == button.Long {
		d.pairing.Cancel()
		return
	}
	if err := d.press(); err != nil {
		d.log.Warn("the button has no effect", "error", err)
		d.panel.ShowFailed("Bluetooth cannot be used.")
	}
}

// cardText is what the display says of a card, in the 18 columns of the smallest one.
func cardText(state string) string {
	switch state {
	case "none":
		return "No card"
	case "ok":
		return "Card: up to date"
	case "blank":
		return "Card: empty"
	case "stale":
		return "Card: out of date"
	case "full":
		return "Card: too small"
	case "unformatted":
		return "Card: not prepared"
	case "other-vault":
		return "Card: unknown"
	}
	return "Card: fails"
}
