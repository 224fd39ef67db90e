package validate

import (
	"bytes"
	"context"
	"encoding/binary"
)

func recogniseWebP(_ string, head []byte) bool {
	return len(head) >= 12 && bytes.HasPrefix(head, []byte("RIFF")) && string(head[8:12]) == "WEBP"
}

// checkWebP follows the chunks of the RIFF container, which has no checksums.
func checkWebP(ctx context.Context, f File) error {
	head, ok, err := f.bytesAt(0, 12)
	if err != nil {
		return err
	}
	if !ok || !recogniseWebP("", head) {
		return broken("webp", "its first bytes are not those of a picture")
	}
	end := 8 + int64(binary.LittleEndian.Uint32(head[4:]))
	if end > f.Size {
		return broken("webp", "it is cut short: %d of %d bytes are there", f.Size, end)
	}
	pictures := 0
	for at := int64(12); at < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk, ok, err := f.bytesAt(at, 8)
		if err != nil {
			return err
		}
		if !ok || !isTag(chunk[:4]) {
			return broken("webp", "byte %d: no chunk where one has to be", at)
		}
		if tag := string(chunk[:4]); tag == "VP8 " || tag == "VP8L" || tag == "ANMF" {
			pictures++
		}
		size := int64(binary.LittleEndian.Uint32(chunk[4:]))
		if at += 8 + size + size%2; at > end+1 {
			return broken("webp", "byte %d: a chunk that reaches beyond the end", at-size-8)
		}
	}
	if pictures == 0 {
		return broken("webp", "it has no picture")
	}
	return nil
}

// isTag tells whether four bytes may name a chunk.
func isTag(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' && c != 0xa9 {
			return false
		}
	}
	return true
}
