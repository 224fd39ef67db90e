package validate

import (
	"bytes"
	"context"
	"encoding/binary"
)

func recogniseMP4(_ string, head []byte) bool {
	return len(head) >= 12 && string(head[4:8]) == "ftyp" && bytes.Equal(head[:3], []byte{0, 0, 0}) && isTag(head[8:12])
}

// checkMP4 follows the boxes of the ISO base media format (MP4, MOV, M4A, HEIC,
// AVIF) at the top level. They have no checksums; media that play have the
// description of their tracks, pictures that of their items.
func checkMP4(ctx context.Context, f File) error {
	described := false
	for at := int64(0); at < f.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		kind, size, ok, err := f.mp4Box(at)
		if err != nil {
			return err
		}
		switch {
		case !ok || !isTag([]byte(kind)):
			return broken("mp4", "byte %d: no box where one has to be", at)
		case size > f.Size-at:
			return broken("mp4", "it is cut short: the box at byte %d is longer than the rest", at)
		case at == 0 && kind != "ftyp":
			return broken("mp4", "its first bytes are not those of a medium")
		}
		described = described || kind == "moov" || kind == "meta" || kind == "moof"
		at += size
	}
	if !described {
		return broken("mp4", "it has no description of its contents")
	}
	return nil
}

// mp4Box reads the head of a box; a size of 0 stands for the rest of the file.
func (f File) mp4Box(at int64) (kind string, size int64, ok bool, err error) {
	head, ok, err := f.bytesAt(at, 8)
	if err != nil || !ok {
		return "", 0, false, err
	}
	kind, size = string(head[4:]), int64(binary.BigEndian.Uint32(head))
	switch size {
	case 0:
		return kind, f.Size - at, true, nil
	case 1:
		long, ok, err := f.bytesAt(at+8, 8)
		if err != nil || !ok {
			return "", 0, false, err
		}
		size = int64(binary.BigEndian.Uint64(long))
		return kind, size, size >= 16, nil
	}
	return kind, size, size >= 8, nil
}
