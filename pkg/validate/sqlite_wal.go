package validate

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

const (
	sqliteWALHeader   = 32
	sqliteFrameHeader = 24
)

// sqliteWAL is a write-ahead log (Database File Format, 4).
type sqliteWAL struct {
	f        File
	format   Format           // what is being judged: the log, or the database with it
	order    binary.ByteOrder // of the words that checksums are made of
	pageSize int64
	salts    [8]byte
	sum      [2]uint32 // of all frames read so far

	whole     uint32   // frames from the first on that are whole
	committed uint32   // of these, those up to the last commit
	pages     uint32   // of the database after that commit
	later     bool     // behind a frame that is not whole, one of the same log commits
	newest    []uint32 // by page: the number of its newest committed frame, from 1 on
}

// checkSQLiteWAL looks at a log by itself.
func checkSQLiteWAL(ctx context.Context, f File) error {
	f.Name = strings.TrimSuffix(f.Name, "-wal")
	_, unsure, err := readSQLiteWAL(ctx, "sqlite-wal", f, f)
	if err == nil {
		err = unsure
	}
	return err
}

// openWAL takes the committed frames of the log beside the database.
func (db *sqliteDB) openWAL() (unsure, err error) {
	log, ok, err := db.f.beside(db.f.Name + "-wal")
	if err != nil {
		return nil, err
	}
	if !ok {
		log = File{}
	}
	if log.Size > MaxSize {
		return nil, notJudged("its -wal is larger than %d bytes", MaxSize)
	}
	w, unsure, err := readSQLiteWAL(db.ctx, "sqlite", db.f, log)
	if err != nil || w == nil || w.committed == 0 {
		return unsure, err
	}
	if w.pageSize != db.pageSize {
		return nil, broken("sqlite", "its -wal has pages of another size")
	}
	if int64(w.pages) > (db.f.Size+log.Size)/w.pageSize {
		return nil, broken("sqlite", "it is cut short: its -wal asks for %d pages", w.pages)
	}
	db.wal = w
	return unsure, w.index(db.ctx)
}

// readSQLiteWAL reads a log up to its last commit. It is nil when the log holds
// nothing. unsure wraps ErrNotJudged when frames behind its end may have been lost, or
// may be what a power cut left. db is the database, or has its name at least.
func readSQLiteWAL(ctx context.Context, format Format, db, log File) (w *sqliteWAL, unsure, err error) {
	// The index is read first: a program that goes on writing makes only the log longer.
	index, err := readSQLiteIndex(db)
	if err != nil {
		return nil, nil, err
	}
	w, err = scanSQLiteWAL(ctx, format, log)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case w == nil && index.pending:
		return nil, nil, broken(format, "the -wal is gone, and %d frames were committed", index.frames)
	case w == nil:
	case index.salts == w.salts && index.pending && index.frames > w.committed:
		return nil, nil, broken(format, "the -wal breaks off after frame %d, and %d were committed", w.committed, index.frames)
	case index.salts != w.salts && w.later:
		unsure = notJudged("its -wal has commits behind frame %d, which is not whole", w.whole+1)
	}
	return w, unsure, nil
}

// scanSQLiteWAL reads a log; it is nil when there is none, or an empty one.
func scanSQLiteWAL(ctx context.Context, format Format, log File) (*sqliteWAL, error) {
	if log.Size < sqliteWALHeader {
		return nil, nil
	}
	w := &sqliteWAL{f: log, format: format}
	r := bufio.NewReaderSize(log.stream(ctx), 64<<10)
	if empty, err := w.start(ctx, r); err != nil || empty {
		return nil, err
	}
	return w, w.frames(r)
}

// start reads the header. A log that is all zeros is what a power cut leaves of a
// new one; it is empty.
func (w *sqliteWAL) start(ctx context.Context, r io.Reader) (empty bool, err error) {
	var h [sqliteWALHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return false, w.ended(err)
	}
	magic := binary.BigEndian.Uint32(h[:])
	w.order = binary.LittleEndian
	if magic&1 != 0 {
		w.order = binary.BigEndian
	}
	w.pageSize = int64(binary.BigEndian.Uint32(h[8:]))
	w.salts = [8]byte(h[16:])
	w.add(h[:24])
	if magic|1 != 0x377f0683 || binary.BigEndian.Uint32(h[4:]) != 3007000 || !w.sums(h[24:]) ||
		w.pageSize < 512 || w.pageSize > 65536 || w.pageSize&(w.pageSize-1) != 0 {
		zeros, err := allZero(w.f.stream(ctx))
		if err == nil && !zeros {
			err = broken(w.format, "the header of the -wal is broken")
		}
		return true, err
	}
	return false, nil
}

func (w *sqliteWAL) ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return broken(w.format, "the -wal ended while it was read")
	}
	return err
}

// add goes on with the checksum over bytes, whose number is a multiple of 8.
func (w *sqliteWAL) add(b []byte) { w.sum = sqliteSum(w.order, w.sum, b) }

func sqliteSum(order binary.ByteOrder, sum [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		sum[0] += order.Uint32(b) + sum[1]
		sum[1] += order.Uint32(b[4:]) + sum[0]
	}
	return sum
}

func (w *sqliteWAL) sums(stated []byte) bool {
	return binary.BigEndian.Uint32(stated) == w.sum[0] && binary.BigEndian.Uint32(stated[4:]) == w.sum[1]
}

// frames reads all frames. The first that is not of this log, or not whole, ends it:
// what comes then is of an older log, or of a transaction that was never committed.
func (w *sqliteWAL) frames(r io.Reader) error {
	frame := make([]byte, sqliteFrameHeader+w.pageSize)
	count := uint32((w.f.Size - sqliteWALHeader) / int64(len(frame)))
	for n := uint32(1); n <= count; n++ {
		if _, err := io.ReadFull(r, frame); err != nil {
			return w.ended(err)
		}
		if n == w.whole+1 && w.continues(frame) {
			w.whole = n
			if pages := binary.BigEndian.Uint32(frame[4:]); pages != 0 {
				w.committed, w.pages = n, pages
			}
			continue
		}
		if n > w.whole+1 && [8]byte(frame[8:]) == w.salts && binary.BigEndian.Uint32(frame[4:]) != 0 {
			w.later = true
		}
	}
	return nil
}

func (w *sqliteWAL) continues(frame []byte) bool {
	if [8]byte(frame[8:]) != w.salts || binary.BigEndian.Uint32(frame) == 0 {
		return false
	}
	w.add(frame[:8])
	w.add(frame[sqliteFrameHeader:])
	return w.sums(frame[16:])
}

// index finds the newest committed frame of each page.
func (w *sqliteWAL) index(ctx context.Context) error {
	w.newest = make([]uint32, uint64(w.pages)+1)
	var page [4]byte
	for n := uint32(1); n <= w.committed; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if ok, err := w.f.fill(page[:], w.offset(n)); err != nil || !ok {
			return errors.Join(err, w.ended(io.EOF))
		}
		if p := binary.BigEndian.Uint32(page[:]); p <= w.pages {
			w.newest[p] = n
		}
	}
	return nil
}

func (w *sqliteWAL) offset(frame uint32) int64 {
	return sqliteWALHeader + int64(frame-1)*(sqliteFrameHeader+w.pageSize)
}

// allZero tells whether nothing but zero bytes is left to read.
func allZero(r io.Reader) (bool, error) {
	b := make([]byte, 32<<10)
	for {
		n, err := r.Read(b)
		for _, c := range b[:n] {
			if c != 0 {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}
