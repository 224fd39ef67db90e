package bolt

import (
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// easeBytes is after how many bytes of blobs the store lets go of the file's pages.
const easeBytes = 4 << 20

// ease lets go of the file's pages in this process's memory once many may be there: bbolt
// maps the file, and each page that was touched counts as the process's until it is let go
// of, be it never used again. The kernel keeps them for as long as it likes.
func (s *Store) ease(bytes int) {
	if s.touched.Add(int64(bytes)) < easeBytes {
		return
	}
	s.touched.Store(0)
	_ = s.view(func(tx *bbolt.Tx) error {
		letGo(tx)
		return nil
	})
}

// letGo is ease within a transaction, which keeps the file mapped where it is; what the
// transaction holds of the pages can be read as before. That it succeeds is not vital.
func letGo(tx *bbolt.Tx) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED) // #nosec G115 -- a size
}

// visitBytes is what the kernel maps at once around a page that is touched, unless it is told
// otherwise: to look up a blob costs as much, however little of it is read.
const visitBytes = 64 << 10

// visits lets go of the pages while one transaction looks up many blobs.
type visits struct {
	tx      *bbolt.Tx
	touched int
}

// saw notes that a value was looked up, and so many bytes of it were read.
func (v *visits) saw(bytes int) {
	if v.touched += bytes + visitBytes; v.touched >= easeBytes {
		letGo(v.tx)
		v.touched = 0
	}
}

// end lets go of what the last ones left.
func (v *visits) end() { letGo(v.tx) }
