package validate

import (
	"bufio"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// checkPNG looks at each chunk's checksum, up to the end mark. What follows that
// no program shows.
func checkPNG(ctx context.Context, f File) error {
	s := f.stream(ctx)
	r := bufio.NewReaderSize(s, 32<<10)
	magic := make([]byte, len(pngMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != pngMagic {
		return s.verdict(broken("png", "its first bytes are not those of a picture"))
	}
	at, pixels := int64(len(pngMagic)), false
	for first := true; ; first = false {
		kind, size, what := pngChunk(r)
		switch {
		case what != "":
		case first && (kind != "IHDR" || size != 13):
			what = "the picture does not begin with its measures"
		case kind == "IDAT":
			pixels = true
		case kind == "IEND" && pixels:
			return s.verdict(nil)
		case kind == "IEND":
			what = "it has no pixels"
		}
		if what != "" {
			return s.verdict(broken("png", "byte %d: %s", at, what))
		}
		at += 12 + int64(size)
	}
}

// pngChunk reads length, type, data and CRC.
func pngChunk(r io.Reader) (kind string, size uint32, what string) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", 0, "it ends before its end mark"
	}
	size = binary.BigEndian.Uint32(head[:])
	if size > 1<<31-1 {
		return "", 0, "a chunk of an impossible size"
	}
	sum := crc32.NewIEEE()
	_, _ = sum.Write(head[4:]) // a hash never fails
	if _, err := io.CopyN(sum, r, int64(size)); err != nil {
		return "", 0, "it ends in a chunk"
	}
	var stated [4]byte
	if _, err := io.ReadFull(r, stated[:]); err != nil {
		return "", 0, "it ends in a chunk"
	}
	if binary.BigEndian.Uint32(stated[:]) != sum.Sum32() {
		return "", 0, "a chunk does not have its checksum"
	}
	return string(head[4:]), size, ""
}
