package oled

import (
	"image"
	"time"

	"periph.io/x/devices/v3/ssd1306"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/picture"
)

// pane is a display that works.
type pane struct {
	dev   *ssd1306.Dev
	draw  *picture.Renderer
	wear  Wear
	view  panel.View
	since time.Time
}

// contrast is what the controller is told for a level.
func contrast(l Level) byte {
	if l == Dimmed {
		return 0x01
	}
	return 0xff
}

// show draws a view that is new.
func (p *pane) show(v panel.View) error {
	p.view, p.since = v, time.Now()
	if err := p.dev.Draw(p.dev.Bounds(), p.draw.Draw(v), image.Point{}); err != nil {
		return err
	}
	return p.dev.SetContrast(contrast(Bright)) // and on, if it was off
}

// next is when the level changes; 0 for never.
func (p *pane) next() time.Duration {
	_, next := p.wear.At(p.view, time.Since(p.since))
	return next
}

// check sets the level that it is time for. It always sends something, and so notices a
// display that has gone.
func (p *pane) check() error {
	level, _ := p.wear.At(p.view, time.Since(p.since))
	if level == Dark {
		return p.dev.Halt()
	}
	return p.dev.SetContrast(contrast(level))
}
