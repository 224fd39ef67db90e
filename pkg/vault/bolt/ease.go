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
