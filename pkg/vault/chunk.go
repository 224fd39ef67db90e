package vault

import (
	"context"
	"errors"
	"fmt"
	"io"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers the algorithm
)

// chunkAlgorithm is FastCDC with masks that fit the chunk sizes asked for.
const chunkAlgorithm = "fastcdc-v1.0.0"

// chunker cuts large files where their contents say so, so that an insertion
// moves no boundary behind it. The gear table is keyed: without the vault key
// the sizes of chunks tell nothing about the contents.
type chunker struct {
	key  []byte
	fine *chunkers.Chunker // for files below largeFile
	wide *chunkers.Chunker
}

// sizes of chunks in bytes; the normal size is about the average.
func fineSizes() chunkers.ChunkerOpts {
	return chunkers.ChunkerOpts{MinSize: 16 << 10, NormalSize: 64 << 10, MaxSize: 256 << 10}
}

func wideSizes() chunkers.ChunkerOpts {
	return chunkers.ChunkerOpts{MinSize: 256 << 10, NormalSize: 512 << 10, MaxSize: 1 << 20}
}

// cut calls each for every chunk of r; the bytes are valid until it returns.
// The size expected decides how coarse the chunks are.
func (c *chunker) cut(r io.Reader, expected int64, each func(chunk []byte) error) error {
	ch, err := c.over(r, expected)
	if err != nil {
		return err
	}
	for {
		chunk, err := ch.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(chunk) > 0 {
			if err := each(chunk); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

func (c *chunker) over(r io.Reader, expected int64) (*chunkers.Chunker, error) {
	slot, opts := &c.fine, fineSizes()
	if expected >= largeFile {
		slot, opts = &c.wide, wideSizes()
	}
	if *slot != nil {
		(*slot).Reset(r)
		return *slot, nil
	}
	opts.Key = c.key
	ch, err := chunkers.NewChunker(chunkAlgorithm, r, &opts)
	if err != nil {
		return nil, fmt.Errorf("cannot cut into chunks: %w", err)
	}
	*slot = ch
	return ch, nil
}

// contextReader ends a long read when the context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
