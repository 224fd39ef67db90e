package validate

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
)

// checkGzip unpacks every member of the file, each of which has a checksum. Zeros
// behind the last one pass, as with gzip itself.
func checkGzip(ctx context.Context, f File) error {
	s := f.stream(ctx)
	r := bufio.NewReaderSize(s, 32<<10)
	z, err := gzip.NewReader(r)
	if err != nil {
		return s.verdict(broken("gzip", "its header is broken"))
	}
	left := int64(inflatedMax)
	for member := 1; ; member++ {
		z.Multistream(false)
		n, err := io.Copy(io.Discard, io.LimitReader(z, left))
		if left -= n; left == 0 {
			return s.verdict(notJudged("it unpacks to more than %d bytes", inflatedMax))
		}
		if err != nil {
			return s.verdict(broken("gzip", "part %d: %s", member, gzipFault(err)))
		}
		if head, _ := r.Peek(1); len(head) == 0 || head[0] == 0 {
			return s.verdict(gzipTail(r))
		}
		if err := z.Reset(r); err != nil {
			return s.verdict(broken("gzip", "something else follows part %d", member))
		}
	}
}

func gzipTail(r io.Reader) error {
	zeros, err := allZero(r)
	if err == nil && !zeros {
		err = broken("gzip", "something else follows its last part")
	}
	return err
}

func gzipFault(err error) string {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it is cut short"
	case errors.Is(err, gzip.ErrChecksum):
		return "its contents do not have their checksum"
	}
	return "its compressed data are broken"
}
