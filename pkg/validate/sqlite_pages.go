package validate

import "encoding/binary"

// The kinds of page in a pointer map (Database File Format, 1.8).
const (
	sqliteRoot      = 1
	sqliteFree      = 2
	sqliteOverflow1 = 3 // its parent is the page with the cell
	sqliteOverflow2 = 4 // its parent is the overflow page before
	sqliteBTree     = 5
)

// read fills b with bytes of a page, from the log where the log has the page.
func (db *sqliteDB) read(page uint32, off int, b []byte) error {
	f, at := db.f, int64(page-1)*db.pageSize
	if db.wal != nil && page < uint32(len(db.wal.newest)) && db.wal.newest[page] != 0 {
		f, at = db.wal.f, db.wal.offset(db.wal.newest[page])+sqliteFrameHeader
	}
	ok, err := f.fill(b, at+int64(off))
	if err == nil && !ok {
		err = broken("sqlite", "it is cut short: page %d is not there", page)
	}
	return err
}

func (db *sqliteDB) isUsed(page uint32) bool { return db.used[page/64]>>(page%64)&1 != 0 }

func (db *sqliteDB) use(page uint32) { db.used[page/64] |= 1 << (page % 64) }

// claimMaps takes the pages of the pointer maps: the second, and one after each run
// of pages that the one before describes.
func (db *sqliteDB) claimMaps() {
	if !db.mapped {
		return
	}
	for n := uint32(2); n <= db.pages; n += db.perMap() {
		db.use(n)
	}
}

func (db *sqliteDB) perMap() uint32 { return uint32(db.usable/5) + 1 }

// claim takes a page for one use, which has to be its only one and that of its
// entry in the pointer map. by is the page that points at it.
func (db *sqliteDB) claim(page, by uint32, kind byte, parent uint32) error {
	if db.claims++; db.claims%256 == 0 && db.ctx.Err() != nil {
		return db.ctx.Err()
	}
	if page < 1 || page > db.pages {
		return broken("sqlite", "page %d points at page %d, which does not exist", by, page)
	}
	if db.isUsed(page) {
		return broken("sqlite", "page %d points at page %d, which another one uses", by, page)
	}
	db.use(page)
	if !db.mapped || page == 1 {
		return nil
	}
	pointerMap := (page-2)/db.perMap()*db.perMap() + 2
	var entry [5]byte
	if err := db.read(pointerMap, 5*int(page-pointerMap-1), entry[:]); err != nil {
		return err
	}
	if entry[0] != kind || binary.BigEndian.Uint32(entry[1:]) != parent {
		return broken("sqlite", "page %d: the pointer map in page %d says another use of it", page, pointerMap)
	}
	return nil
}

// freelist follows the chain of trunk pages, each of which names free pages. What
// these hold does not matter.
func (db *sqliteDB) freelist() error {
	trunk, by := binary.BigEndian.Uint32(db.header[32:]), uint32(1)
	stated, found := binary.BigEndian.Uint32(db.header[36:]), uint32(0)
	b := make([]byte, db.usable)
	for trunk != 0 {
		if err := db.claim(trunk, by, sqliteFree, 0); err != nil {
			return err
		}
		if err := db.read(trunk, 0, b); err != nil {
			return err
		}
		leaves := binary.BigEndian.Uint32(b[4:])
		if leaves > uint32(db.usable/4-2) {
			return broken("sqlite", "page %d: a list of free pages that is longer than the page", trunk)
		}
		for i := range leaves {
			if err := db.claim(binary.BigEndian.Uint32(b[8+4*i:]), trunk, sqliteFree, 0); err != nil {
				return err
			}
		}
		found += 1 + leaves
		trunk, by = binary.BigEndian.Uint32(b), trunk
	}
	if found != stated {
		return broken("sqlite", "%d pages are free, and its header says %d", found, stated)
	}
	return nil
}

// overflow follows the pages that hold what a cell has no room for.
func (db *sqliteDB) overflow(c sqliteCell, page uint32) error {
	room := uint64(db.usable - 4)
	left := (c.size - uint64(len(c.local)) + room - 1) / room
	if left > uint64(db.pages) {
		return broken("sqlite", "page %d: a row that is larger than the file", page)
	}
	kind, by, next := byte(sqliteOverflow1), page, c.overflow
	for at := uint64(len(c.local)); left > 0; left-- {
		if err := db.claim(next, by, kind, by); err != nil {
			return err
		}
		if err := db.read(next, 0, db.spill); err != nil {
			return err
		}
		if db.texts.blank(at, db.spill[4:4+min(room, c.size-at)]) {
			return broken("sqlite", "page %d: NUL bytes in a text", next)
		}
		at += room
		kind, by, next = sqliteOverflow2, next, binary.BigEndian.Uint32(db.spill)
	}
	if next != 0 {
		return broken("sqlite", "page %d: an overflow chain that does not end with its row", by)
	}
	return nil
}

// payload reads the beginning of a row of which a part lies in overflow pages. The
// chain was followed before.
func (db *sqliteDB) payload(c sqliteCell, most int) ([]byte, error) {
	b := append([]byte(nil), c.local...)
	want := int(min(c.size, uint64(most)))
	for next := c.overflow; len(b) < want && next != 0; {
		part := make([]byte, min(db.usable, want-len(b)+4))
		if err := db.read(next, 0, part); err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(part)
		b = append(b, part[4:]...)
	}
	return b, nil
}
