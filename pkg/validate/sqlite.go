package validate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// sqliteMagic is what a database begins with (Database File Format, 1.3).
const sqliteMagic = "SQLite format 3\x00"

const sqliteHeader = 100 // bytes before the first page's own header

// sqliteDB is a database as its next reader would see it: the file, with the
// committed frames of its write-ahead log in place of its pages. Pages are read one by one;
// what stays in memory is a bit for each page and a number for each in the log.
type sqliteDB struct {
	ctx      context.Context
	f        File
	wal      *sqliteWAL // nil when there is none, or nothing in it is committed
	header   []byte
	pageSize int64
	usable   int // bytes of a page that hold data
	pages    uint32
	mapped   bool // the database has pointer maps (auto_vacuum)
	used     []uint64
	buffers  [][]byte // one page for each level of a tree
	spans    []uint32 // of the page being looked at
	spill    []byte   // an overflow page
	texts    sqliteTexts
	maxRoot  uint32
	claims   int
}

// checkSQLite looks at a database together with its log. While a transaction that
// needs to be rolled back lies beside it, nobody can tell.
func checkSQLite(ctx context.Context, f File) error {
	before, err := sqliteState(f)
	if err != nil {
		return err
	}
	err = judgeSQLite(ctx, f)
	var found *Invalid
	if !errors.As(err, &found) {
		return err
	}
	// A program that writes meanwhile makes any reader see halves.
	if after, e := sqliteState(f); e != nil || after != before {
		return errors.Join(notJudged("it is being written to"), e)
	}
	return err
}

// sqliteState tells a database from the same one after another transaction.
func sqliteState(f File) (string, error) {
	state := ""
	head := make([]byte, min(f.Size, sqliteHeader))
	if _, err := f.fill(head, 0); err != nil {
		return "", err
	}
	for _, name := range []string{"-journal", "-wal", "-shm"} {
		beside, ok, err := f.beside(f.Name + name)
		if err != nil {
			return "", fmt.Errorf("cannot read the %s: %w", name, err)
		}
		first := make([]byte, min(beside.Size, 2*48+4)) // all counters of the index
		if ok {
			if _, err := beside.fill(first, 0); err != nil {
				return "", err
			}
		}
		state += fmt.Sprintf("%t %d %x ", ok, beside.Size, first)
	}
	return state + string(head), nil
}

func judgeSQLite(ctx context.Context, f File) error {
	if err := sqliteHot(f); err != nil {
		return err
	}
	db := &sqliteDB{ctx: ctx, f: f}
	unsure, err := db.open()
	if err == nil {
		err = db.check()
	}
	if err == nil {
		err = unsure
	}
	return err
}

// sqliteHot returns ErrNotJudged when a rollback journal has what to roll back: one
// that was done with is empty, or its header zeroed.
func sqliteHot(f File) error {
	journal, ok, err := f.beside(f.Name + "-journal")
	if err != nil || !ok || journal.Size == 0 {
		return err
	}
	first, whole, err := journal.bytesAt(0, 1)
	if err == nil && whole && first[0] != 0 {
		err = fmt.Errorf("%w: a transaction was not finished, and its journal lies beside", ErrInUse)
	}
	return err
}

// open reads the header and the log. unsure is what remains to be said of a log
// when all else is well.
func (db *sqliteDB) open() (unsure, err error) {
	head, whole, err := db.f.bytesAt(0, sqliteHeader)
	if err != nil {
		return nil, err
	}
	if !whole || string(head[:len(sqliteMagic)]) != sqliteMagic {
		return nil, broken("sqlite", "its first bytes are not those of a database")
	}
	if db.pageSize = sqlitePageSize(head); db.pageSize == 0 {
		return nil, broken("sqlite", "header: no page has that size")
	}
	if unsure, err = db.openWAL(); err != nil {
		return nil, err
	}
	db.header = make([]byte, sqliteHeader)
	if err := db.read(1, 0, db.header); err != nil {
		return nil, err
	}
	return unsure, db.readHeader()
}

func sqlitePageSize(head []byte) int64 {
	n := int64(binary.BigEndian.Uint16(head[16:]))
	if n == 1 {
		n = 65536
	}
	if n < 512 || n&(n-1) != 0 {
		return 0
	}
	return n
}

// readHeader checks the fields of the header that have few right values.
func (db *sqliteDB) readHeader() error {
	h := db.header
	u32 := func(off int) uint32 { return binary.BigEndian.Uint32(h[off:]) }
	what := ""
	switch {
	case string(h[:16]) != sqliteMagic || sqlitePageSize(h) != db.pageSize:
		what = "the log holds another database's first page"
	case h[18] < 1 || h[18] > 2 || h[19] < 1 || h[19] > 2:
		what = "an unknown version of the format"
	case db.pageSize-int64(h[20]) < 480:
		what = "too little room in a page"
	case h[21] != 64 || h[22] != 32 || h[23] != 32:
		what = "payload fractions that are not allowed"
	case u32(44) > 4:
		what = "an unknown schema format"
	case u32(56) > 3:
		what = "an unknown text encoding"
	case u32(52) == 0 && u32(64) != 0:
		what = "incremental vacuum without pointer maps"
	case [20]byte(h[72:92]) != [20]byte{}:
		what = "bytes where zeros have to be"
	}
	if what != "" {
		return broken("sqlite", "header: %s", what)
	}
	db.usable = int(db.pageSize) - int(h[20])
	db.spill = make([]byte, db.usable)
	db.mapped = u32(52) != 0
	return db.countPages()
}

// countPages takes the number in the header where it is current, as SQLite does. A
// file may be longer: some programs let it grow in large steps.
func (db *sqliteDB) countPages() error {
	there := uint64(db.f.Size / db.pageSize)
	if db.wal != nil {
		there = uint64(db.wal.pages)
	}
	db.pages = uint32(there) // below 2^20: MaxSize in pages of 512 bytes
	stated := binary.BigEndian.Uint32(db.header[28:])
	current := string(db.header[24:28]) == string(db.header[92:96])
	if stated != 0 && current {
		if uint64(stated) > there {
			return broken("sqlite", "it is cut short: %d of %d pages are there", there, stated)
		}
		db.pages = stated
	}
	if db.pages == 0 {
		return broken("sqlite", "it is cut short: its first page is not whole")
	}
	db.used = make([]uint64, db.pages/64+1)
	return nil
}

// check walks everything that a page can belong to, and then asks for pages that
// belong to nothing.
func (db *sqliteDB) check() error {
	db.claimMaps()
	if err := db.freelist(); err != nil {
		return err
	}
	if err := db.schema(); err != nil {
		return err
	}
	if largest := binary.BigEndian.Uint32(db.header[52:]); db.mapped && largest != db.maxRoot {
		return broken("sqlite", "header: the largest root page is %d and not %d", db.maxRoot, largest)
	}
	for n := uint32(1); n <= db.pages; n++ {
		if !db.isUsed(n) {
			return broken("sqlite", "page %d belongs to nothing", n)
		}
	}
	return nil
}
