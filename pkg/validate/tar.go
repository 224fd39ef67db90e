package validate

import (
	"archive/tar"
	"context"
	"errors"
	"io"
)

func recogniseTar(_ string, head []byte) bool {
	return len(head) >= 512 && string(head[257:262]) == "ustar"
}

// checkTar reads the headers, each of which has a checksum, and that all contents
// are there; these have none.
func checkTar(ctx context.Context, f File) error {
	s := f.stream(ctx)
	t := tar.NewReader(s)
	left := int64(inflatedMax) // an entry with holes stands for more than is there
	for n := 0; ; n++ {
		_, err := t.Next()
		if errors.Is(err, io.EOF) && n > 0 {
			return s.verdict(nil)
		}
		var read int64
		if err == nil {
			read, err = io.Copy(io.Discard, io.LimitReader(t, left))
		}
		if left -= read; left == 0 {
			return notJudged("it unpacks to more than %d bytes", inflatedMax)
		}
		if err != nil {
			return s.verdict(broken("tar", "entry %d is not whole", n+1))
		}
	}
}
