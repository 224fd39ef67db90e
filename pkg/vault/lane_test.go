package vault

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// TestSameContentsInTwoLanes has service books and keys that are the same, to the byte. A
// reader refuses two blobs with one id.
func TestSameContentsInTwoLanes(t *testing.T) {
	for _, size := range []int{500, 3 << 20} {
		same := noise(1, size)
		for _, at := range []string{"at once", "one after the other"} {
			t.Run(fmt.Sprint(size, " bytes, ", at), func(t *testing.T) {
				b, tr := newBench(t), tree{}
				tr.file("service-books/a", same)
				var base *DataSet
				mode := Full
				if at != "at once" {
					base, mode = b.full(tr), Incremental
				}
				tr.file("keys/b", same)
				c, next := b.write(once(b.config(base, mode)), tr)
				b.verify(next, tr)
				b.verify(b.load(c), tr)
			})
		}
	}
}

// once refuses a blob that is handed on a second time.
func once(cfg WriterConfig) WriterConfig {
	put, had := cfg.Put, make(map[BlobID]bool)
	cfg.Put = func(ctx context.Context, b Blob) error {
		if had[b.ID] {
			return errors.New("handed on twice")
		}
		had[b.ID] = true
		return put(ctx, b)
	}
	return cfg
}
