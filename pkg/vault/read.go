package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/reprovision/reprovision/pkg/manifest"
)

// read packs what open gives, in one go or in chunks.
func (w *Writer) read(ctx context.Context, item manifest.Item, open func() (io.ReadCloser, error)) (c contents, err error) {
	f, err := open()
	if err != nil {
		return contents{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if w.small == nil {
		w.small = make([]byte, smallFile)
	}
	r := contextReader{ctx: ctx, r: f}
	n, err := fill(r, w.small)
	if err != nil {
		return contents{}, err
	}
	p := w.pack[PartOf(item.Class)]
	if n < len(w.small) {
		return p.storeWhole(ctx, item, w.small[:n])
	}
	return w.readLarge(ctx, p, item, r)
}

// fill reads until buf is full or r ends. Unlike io.ReadFull it takes no error
// of r for its end.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && empty < 100; {
		m, err := r.Read(buf[n:])
		n += m
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		case m == 0:
			empty++
		}
	}
	if n < len(buf) {
		return n, io.ErrNoProgress
	}
	return n, nil
}

// readLarge goes on where read found that the file is no small one.
func (w *Writer) readLarge(ctx context.Context, p *packer, item manifest.Item, rest io.Reader) (c contents, err error) {
	total := sha256.New()
	err = w.cut.cut(io.MultiReader(bytes.NewReader(w.small), rest), item.Size, func(chunk []byte) error {
		total.Write(chunk)
		return p.storeChunk(ctx, &c, chunk)
	})
	if err != nil {
		return contents{}, err
	}
	total.Sum(c.digest[:0])
	if e, ok := p.reusable(item, c.size, c.digest); ok {
		c.refs = refsTo(e)
	}
	return c, nil
}
