package vault

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// ErrCompressed is wrapped when bytes are no zstd frame, or one that holds more
// than it may.
var ErrCompressed = errors.New("cannot decompress")

// smallPlain is up to where compressing harder gains next to nothing, and the
// tables of a hard encoder cost more time than the work itself.
const smallPlain = 64 << 10

// compressor makes zstd frames without a checksum, which the seal stands for.
// Frames name their size, so that a bomb is seen before it is unpacked.
type compressor struct {
	encoders map[zstd.EncoderLevel]*zstd.Encoder
	buf      []byte
}

// compress returns a frame that is valid until the next call.
func (c *compressor) compress(level zstd.EncoderLevel, plain []byte) ([]byte, error) {
	if len(plain) < smallPlain {
		level = zstd.SpeedDefault
	}
	enc, err := c.encoder(level)
	if err != nil {
		return nil, fmt.Errorf("cannot compress: %w", err)
	}
	c.buf = enc.EncodeAll(plain, c.buf[:0])
	return c.buf, nil
}

// compressParts makes one frame after the other, each of the bytes up to the next cut; one
// of all of them without cuts.
func (c *compressor) compressParts(level zstd.EncoderLevel, plain []byte, cuts []int) ([]byte, error) {
	if len(cuts) < 2 {
		return c.compress(level, plain)
	}
	var all []byte
	start := 0
	for _, end := range cuts {
		packed, err := c.compress(level, plain[start:end])
		if err != nil {
			return nil, err
		}
		all, start = append(all, packed...), end
	}
	return all, nil
}

// encoder keeps the encoders for the next blob, but not the hardest: its tables
// take 34 MiB.
func (c *compressor) encoder(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	if enc, ok := c.encoders[level]; ok {
		return enc, nil
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithZeroFrames(true),
		zstd.WithWindowSize(MaxPack))
	if err != nil || level == zstd.SpeedBestCompression {
		return enc, err
	}
	if c.encoders == nil {
		c.encoders = make(map[zstd.EncoderLevel]*zstd.Encoder)
	}
	c.encoders[level] = enc
	return enc, nil
}

// decompress unpacks one blob's zstd frame into at most limit bytes.
func decompress(packed []byte, limit int) ([]byte, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(limit)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompressed, err)
	}
	defer dec.Close()
	plain, err := dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompressed, err)
	}
	if len(plain) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrCompressed, limit)
	}
	return plain, nil
}
