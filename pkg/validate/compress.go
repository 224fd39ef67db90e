package validate

import (
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// zstdWindow bounds the memory that a zstd frame can make a check spend, in bytes.
const zstdWindow = 8 << 20

// checkZstd unpacks every frame (RFC 8878). Most frames have a checksum.
func checkZstd(ctx context.Context, f File) error {
	s := f.stream(ctx)
	z, err := zstd.NewReader(s, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return s.verdict(notJudged("no decoder: %v", err))
	}
	defer z.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(z, inflatedMax))
	switch {
	case n == inflatedMax:
		return s.verdict(notJudged("it unpacks to more than %d bytes", inflatedMax))
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrUnknownDictionary):
		return s.verdict(notJudged("it needs more memory, or a dictionary"))
	case err != nil:
		return s.verdict(broken("zstd", "it is cut short, or its contents do not have their checksum"))
	}
	return s.verdict(nil)
}

// recogniseBzip2 wants the header with any block size, and the first block's magic.
func recogniseBzip2(_ string, head []byte) bool {
	return len(head) > 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' && string(head[4:10]) == "1AY&SY"
}

// checkBzip2 unpacks every block, each of which has a checksum.
func checkBzip2(ctx context.Context, f File) error {
	s := f.stream(ctx)
	n, err := io.Copy(io.Discard, io.LimitReader(bzip2.NewReader(s), inflatedMax))
	switch {
	case n == inflatedMax:
		return s.verdict(notJudged("it unpacks to more than %d bytes", inflatedMax))
	case err != nil:
		return s.verdict(broken("bzip2", "it is cut short, or its contents do not have their checksum"))
	}
	return s.verdict(nil)
}

const (
	xzMagic  = "\xfd7zXZ\x00"
	xzHeader = 12 // bytes, and as many in the footer
)

// checkXz looks at both ends of a file (the .xz file format, 2.1.1 and 2.1.2): a file
// that is cut short has no footer. What lies between is not unpacked.
func checkXz(_ context.Context, f File) error {
	if f.Size < 2*xzHeader {
		return broken("xz", "it is cut short")
	}
	head, foot := make([]byte, xzHeader), make([]byte, xzHeader)
	_, err := f.Data.ReadAt(head, 0)
	if err == nil {
		_, err = f.Data.ReadAt(foot, f.Size-xzHeader)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	flags, backward := head[6:8], int64(binary.LittleEndian.Uint32(foot[4:])+1)*4
	switch {
	case crc32.ChecksumIEEE(flags) != binary.LittleEndian.Uint32(head[8:]):
		return broken("xz", "its header is broken")
	case f.Size%4 != 0 || bytes.Equal(foot[8:], make([]byte, 4)):
		return notJudged("it ends in padding")
	case string(foot[10:]) != "YZ" || crc32.ChecksumIEEE(foot[4:10]) != binary.LittleEndian.Uint32(foot):
		return broken("xz", "it is cut short: it has no footer")
	case !bytes.Equal(flags, foot[8:10]) || backward > f.Size-2*xzHeader:
		return broken("xz", "its two ends do not fit each other")
	}
	return nil
}
