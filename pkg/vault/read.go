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
	p := w.packerOf(item.Class)
	if n < len(w.small) {
		return w.storeSmall(ctx, p, item, w.small[:n])
	}
	return w.readLarge(ctx, p, item, io.MultiReader(bytes.NewReader(w.small), r))
}

// storeSmall packs a small file, or what is new in it.
func (w *Writer) storeSmall(ctx context.Context, p *packer, item manifest.Item, b []byte) (contents, error) {
	c := contents{size: int64(len(b)), digest: sha256.Sum256(b)}
	if e, ok := p.reusable(item, c.size, c.digest); ok {
		c.refs = refsTo(e)
		return c, nil
	}
	defer w.remember(item, b, c.digest)
	if old, index, ok := w.before(p, item); ok {
		size, digest := c.size, c.digest
		c, err := w.patch(ctx, p, old, index, bytes.NewReader(b))
		c.size, c.digest = size, digest
		return c, err
	}
	if len(b) == 0 {
		return c, nil
	}
	r, err := p.store(ctx, groupOf(p.part, b), b)
	c.refs = []ref{r}
	return c, err
}

// remember keeps the marks of a small file.
func (w *Writer) remember(item manifest.Item, b []byte, digest manifest.Digest) {
	if w.cfg.Marks == nil || len(b) < minMarked {
		return
	}
	w.mark.start(int64(len(b)))
	_, _ = w.mark.Write(b) // never fails
	w.cfg.Marks.PutMarks(digest, w.mark.finish())
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
func (w *Writer) readLarge(ctx context.Context, p *packer, item manifest.Item, r io.Reader) (c contents, err error) {
	total := sha256.New()
	var size counter
	r = io.TeeReader(r, io.MultiWriter(total, &size))
	if w.cfg.Marks != nil {
		w.mark.start(item.Size)
		r = io.TeeReader(r, &w.mark)
	}
	if old, index, ok := w.before(p, item); ok {
		c, err = w.patch(ctx, p, old, index, r)
	} else {
		group := groupOf(p.part, w.small)
		err = w.cut.cut(r, item.Size, func(chunk []byte) error { return p.storeChunk(ctx, &c, group, chunk) })
	}
	if err != nil {
		return contents{}, err
	}
	c.size = int64(size)
	total.Sum(c.digest[:0])
	if w.cfg.Marks != nil {
		w.cfg.Marks.PutMarks(c.digest, w.mark.finish())
	}
	if e, ok := p.reusable(item, c.size, c.digest); ok {
		c.refs = refsTo(e)
	}
	return c, nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
