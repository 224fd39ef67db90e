package validate

import (
	"bufio"
	"context"
	"io"
)

// checkGIF follows the blocks of GIF89a up to the trailer. What their data holds
// has no checksum.
func checkGIF(ctx context.Context, f File) error {
	s := f.stream(ctx)
	g := &gifBlocks{r: bufio.NewReaderSize(s, 32<<10)}
	err := g.all()
	if err != nil {
		err = broken("gif", "byte %d: it ends before its trailer", g.at)
	} else if g.what != "" {
		err = broken("gif", "byte %d: %s", g.at, g.what)
	}
	return s.verdict(err)
}

type gifBlocks struct {
	r      *bufio.Reader
	at     int64
	images int
	what   string
}

func (g *gifBlocks) take(n int) ([]byte, error) {
	b := make([]byte, n)
	m, err := io.ReadFull(g.r, b)
	g.at += int64(m)
	return b, err
}

func (g *gifBlocks) all() error {
	head, err := g.take(13)
	if err != nil {
		return err
	}
	if magic := string(head[:6]); magic != "GIF87a" && magic != "GIF89a" {
		g.what = "its first bytes are not those of a picture"
		return nil
	}
	if err := g.colours(head[10]); err != nil {
		return err
	}
	for done := false; !done && err == nil && g.what == ""; {
		done, err = g.block()
	}
	return err
}

// colours skips a table of colours, whose size the flags before it tell.
func (g *gifBlocks) colours(flags byte) error {
	if flags&0x80 == 0 {
		return nil
	}
	return g.skip(3 << (flags&7 + 1))
}

func (g *gifBlocks) skip(n int) error {
	m, err := g.r.Discard(n)
	g.at += int64(m)
	return err
}

func (g *gifBlocks) read() (byte, error) {
	c, err := g.r.ReadByte()
	if err == nil {
		g.at++
	}
	return c, err
}

func (g *gifBlocks) block() (done bool, err error) {
	kind, err := g.read()
	if err != nil {
		return false, err
	}
	switch kind {
	case 0x3b:
		if g.images == 0 {
			g.what = "it has no picture"
		}
		return true, nil
	case 0x21:
		if _, err := g.read(); err != nil { // what it extends
			return false, err
		}
		return false, g.data()
	case 0x2c:
		return false, g.image()
	}
	g.what = "no block where one has to be"
	return false, nil
}

func (g *gifBlocks) image() error {
	g.images++
	head, err := g.take(9)
	if err != nil {
		return err
	}
	if err := g.colours(head[8]); err != nil {
		return err
	}
	code, err := g.read()
	if err != nil {
		return err
	}
	if code < 1 || code > 11 {
		g.what = "a picture whose codes have an impossible size"
	}
	return g.data()
}

// data skips blocks with their length before them, up to the empty one.
func (g *gifBlocks) data() error {
	for {
		n, err := g.read()
		if err != nil || n == 0 {
			return err
		}
		if err := g.skip(int(n)); err != nil {
			return err
		}
	}
}
