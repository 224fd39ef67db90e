package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
	"golang.org/x/sys/unix"
)

// readSize is how much of a file is read at once.
const readSize = 128 << 10

// read hashes an open file and makes sure that it held still meanwhile. st is
// how the file is right after it was read; known, what the cache has of it, or nil.
func (w *walk) read(ctx context.Context, d dir, name userdata.Name, fd int, st *unix.Stat_t, known *cacheEntry) (Entry, error) {
	start := w.now()
	if err := unix.Fstat(fd, st); err != nil {
		return Entry{}, fmt.Errorf("cannot stat: %w", err)
	}
	e := Entry{Observation: observe(st)}
	if e.Settled = start.UnixNano()-e.CTime > int64(w.opts.Settle); e.Settled {
		writeBack(fd)
	}
	var err error
	if e.Digest, err = w.digest(ctx, fd, e.Size); err != nil {
		return Entry{}, err
	}
	if known != nil && known.Digest == e.Digest && !known.Open && !known.Unsure {
		e.Nature = known.Nature
	} else if err := w.nature(ctx, d, name, fd, &e); err != nil {
		return Entry{}, err
	}
	if e.Xattrs, e.Cut, err = readXattrs(fd); err != nil {
		return Entry{}, err
	}
	if err := unix.Fstat(fd, st); err != nil {
		return Entry{}, fmt.Errorf("cannot stat: %w", err)
	}
	if observe(st) != e.Observation {
		return Entry{}, errChanged
	}
	w.res.FilesRead++
	return e, nil
}

// writeBack has the kernel write out what processes changed through a mapping of
// the file. Such a change moves the ctime only when it dirties a clean page; on
// a page that is dirty already it would leave no trace, and the cache would
// trust what it must not. For a file that is not settled the cache is not trusted
// anyway, and to write out many new ones would take long. A failure is of no account: not every file system can.
func writeBack(fd int) {
	_ = unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WAIT_BEFORE|
		unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
}

// digest hashes size bytes. A file that is longer or shorter than that has
// changed.
func (w *walk) digest(ctx context.Context, fd int, size int64) (d manifest.Digest, err error) {
	w.sum.Reset()
	for left := size; ; {
		n, err := readOnce(fd, w.buf)
		if err != nil {
			return d, err
		}
		if left -= int64(n); left < 0 || n == 0 && left > 0 {
			return d, errChanged
		}
		if n == 0 {
			break
		}
		w.res.BytesRead += int64(n)
		w.progress(size - left)
		w.sum.Write(w.buf[:n])
		if err := w.pace.spend(ctx, n); err != nil {
			return d, err
		}
	}
	w.sum.Sum(d[:0])
	return d, nil
}

func readOnce(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("cannot read: %w", err)
		}
		return n, nil
	}
}
