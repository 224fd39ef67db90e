package picture

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"github.com/reprovision/reprovision/pkg/panel"
)

// canvas draws text on pixels of one bit.
type canvas struct{ img *image1bit.VerticalLSB }

// title draws the first line, dark on a lit bar.
func (c canvas) title(s string) {
	draw.Draw(c.img, image.Rect(0, 0, Width, titleHeight), &image.Uniform{C: image1bit.On}, image.Point{}, draw.Src)
	s = plain(s)
	x := (Width - font.MeasureString(basicfont.Face7x13, s).Round()) / 2
	c.draw(basicfont.Face7x13, x, 11, false, s)
}

// text breaks a text into at most n lines below the title.
func (c canvas) text(n int, s string) {
	for i, line := range panel.Wrap(plain(s), columns, n) {
		c.line(i, line)
	}
}

// line draws one line below the title, from 0.
func (c canvas) line(i int, s string) {
	for _, line := range panel.Wrap(plain(s), columns, 1) {
		c.draw(basicfont.Face7x13, margin, firstLine+i*lineHeight-1, true, plain(line))
	}
}

// draw draws text that lies on a baseline. A pixel of the font that is at least half
// covered is lit, or with lit unset dark.
func (c canvas) draw(face font.Face, x, baseline int, lit bool, s string) {
	mask := image.NewAlpha(c.img.Bounds())
	d := font.Drawer{Dst: mask, Src: image.Opaque, Face: face, Dot: fixed.P(x, baseline)}
	d.DrawString(s)
	for y := range mask.Rect.Dy() {
		for x := range mask.Rect.Dx() {
			if mask.AlphaAt(x, y).A >= 128 {
				c.img.SetBit(x, y, image1bit.Bit(lit))
			}
		}
	}
}

// plain writes a text with the characters that the font has: letters lose their accents,
// and what is left becomes a question mark.
func plain(s string) string {
	const most = 1024 // bytes; a picture shows far fewer
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case r == '…':
			return '~'
		case r == ' ' || r > ' ' && r < 0x7f:
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '?'
	}, norm.NFD.String(s))
}

// Banner draws one line in the font of the text: 13 pixels high, 7 wide a character.
func Banner(s string) *image1bit.VerticalLSB {
	s = plain(s)
	c := canvas{image1bit.NewVerticalLSB(image.Rect(0, 0, 7*len(s), 13))}
	c.draw(basicfont.Face7x13, 0, 11, true, s)
	return c.img
}

// Image is a picture enlarged by a whole number, for people: lit pixels are as bright as
// those of a white OLED.
func Image(p image.Image, scale int) *image.Gray {
	b := p.Bounds()
	out := image.NewGray(image.Rect(0, 0, b.Dx()*scale, b.Dy()*scale))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			if r, _, _, _ := p.At(b.Min.X+x/scale, b.Min.Y+y/scale).RGBA(); r > 0 {
				out.SetGray(x, y, color.Gray{Y: 0xff})
			}
		}
	}
	return out
}
