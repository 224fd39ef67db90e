package picture

import (
	"fmt"
	"image"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/opentype"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"github.com/reprovision/reprovision/pkg/panel"
)

// The size of the picture, in pixels.
const (
	Width  = 128
	Height = 64
)

// What is on it, in pixels.
const (
	titleHeight = 14
	lineHeight  = 12
	firstLine   = titleHeight + 12 // baseline
	bigHeight   = (Height - titleHeight) / 2
	margin      = 1 // left of text
	columns     = 18
	rows        = 4
)

// Sizes of the large font. Its characters are 0.6 as wide as it is high, so that 8 of
// an address fill a line; there is room for 4 digits of a passcode in any case.
const (
	addressSize  = 25
	passcodeSize = 30
	amountSize   = 30
)

// Renderer draws views. It is for one goroutine at a time.
type Renderer struct {
	large map[int]font.Face // by size in pixels
}

// New makes a renderer.
func New() (*Renderer, error) {
	parsed, err := opentype.Parse(gomonobold.TTF)
	if err != nil {
		return nil, fmt.Errorf("cannot read the display's font: %w", err)
	}
	r := &Renderer{large: make(map[int]font.Face)}
	for _, size := range []int{addressSize, passcodeSize, amountSize} {
		r.large[size], err = opentype.NewFace(parsed, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingFull})
		if err != nil {
			return nil, fmt.Errorf("cannot use the display's font: %w", err)
		}
	}
	return r, nil
}

// Draw makes the picture of a view, whatever its fields hold.
func (r *Renderer) Draw(v panel.View) *image1bit.VerticalLSB {
	c := canvas{image1bit.NewVerticalLSB(image.Rect(0, 0, Width, Height))}
	switch v.State {
	case panel.Address:
		c.title("Reader's address")
		r.big(c, addressSize, halves(v.Address, ":")...)
	case panel.Passcode:
		c.title("Passcode")
		r.big(c, passcodeSize, halves(v.Passcode, "")...)
	case panel.Progress:
		c.title(string(v.Task))
		c.text(1, v.Name)
		r.at(c, amountSize, titleHeight+lineHeight+30, panel.Size(v.Bytes))
	case panel.Paired:
		c.title("Paired with")
		c.text(rows, v.Name)
	case panel.Failed:
		c.title("Pairing failed")
		c.text(rows, v.Reason)
	case panel.Alert:
		c.title("Wrong passcode")
		c.text(rows, v.Reason)
	default:
		drawIdle(c, v)
	}
	return c.img
}

func drawIdle(c canvas, v panel.View) {
	if v.Notice != "" {
		c.title("Backup overdue")
		c.text(rows-1, v.Notice)
	} else {
		c.title("Card reader")
		c.text(rows-1, "Press the button to pair a device.")
	}
	c.line(rows-1, v.Card)
}

// halves cuts what is long in two, at the separator in its middle; without a separator
// just there.
func halves(s, separator string) []string {
	if separator == "" {
		return []string{s[:len(s)/2], s[len(s)/2:]}
	}
	parts := strings.Split(s, separator)
	middle := len(parts) / 2
	return []string{strings.Join(parts[:middle], separator), strings.Join(parts[middle:], separator)}
}

// big draws two lines in the large font, centred.
func (r *Renderer) big(c canvas, size int, lines ...string) {
	for i, line := range lines {
		r.at(c, size, titleHeight+(i+1)*bigHeight-2, line)
	}
}

// at draws one line in the large font on a baseline.
func (r *Renderer) at(c canvas, size, baseline int, line string) {
	if len(line) > columns {
		line = line[:columns]
	}
	face := r.large[size]
	c.draw(face, (Width-font.MeasureString(face, line).Round())/2, baseline, true, line)
}
