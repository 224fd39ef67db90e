package validate

import (
	"bytes"
	"encoding/binary"
	"strings"
)

const (
	sqliteSchemaMax = 64 << 10 // bytes of a row of the schema that are read
	sqliteTreesMax  = 50_000
)

// sqliteEntry is what a row of the schema says of a table or an index.
type sqliteEntry struct {
	index   bool
	table   string // the name of the table, or of that which the index is for
	root    uint32
	text    sqliteCollation
	partial bool // it may leave rows out
}

// sqliteTable is what is counted of a table, to compare its indices with.
type sqliteTable struct {
	rows, rowids uint64
	hasRowids    bool
	text         sqliteCollation
}

// schema walks the tree of the schema, and then every tree that it names: tables
// before their indices.
func (db *sqliteDB) schema() error {
	var entries []sqliteEntry
	master := &sqliteTree{db: db, each: func(c sqliteCell) error {
		row, err := db.payload(c, sqliteSchemaMax)
		if err != nil {
			return err
		}
		e, ok := sqliteSchemaRow(row, c.size)
		if !ok {
			return broken("sqlite", "a row of its schema is none")
		}
		if e.root != 0 {
			entries = append(entries, e)
		}
		if len(entries) > sqliteTreesMax {
			return notJudged("it has more than %d tables and indices", sqliteTreesMax)
		}
		return nil
	}}
	if err := master.walk(1, 0); err != nil {
		return err
	}
	if master.index {
		return broken("sqlite", "page 1: the schema is no table")
	}
	db.maxRoot = 1
	return db.trees(entries)
}

func (db *sqliteDB) trees(entries []sqliteEntry) error {
	tables := map[string]sqliteTable{}
	for _, e := range entries {
		if e.index {
			continue
		}
		if err := db.table(e, tables); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if !e.index {
			continue
		}
		if err := db.index(e, tables); err != nil {
			return err
		}
	}
	return nil
}

func (db *sqliteDB) table(e sqliteEntry, tables map[string]sqliteTable) error {
	db.maxRoot = max(db.maxRoot, e.root)
	t := &sqliteTree{db: db, order: sqliteOrder{text: db.collation(e.text)}}
	if err := t.walk(e.root, 1); err != nil {
		return err
	}
	tables[e.table] = sqliteTable{t.rows, t.rowids, !t.index, e.text}
	return nil
}

// collation knows the bytes of NOCASE in UTF-8 only.
func (db *sqliteDB) collation(c sqliteCollation) sqliteCollation {
	if c == sqliteBuiltIn && binary.BigEndian.Uint32(db.header[56:]) != 1 {
		return sqliteOther
	}
	return c
}

// index walks an index, and compares how many rows it points at, and at which in sum.
func (db *sqliteDB) index(e sqliteEntry, tables map[string]sqliteTable) error {
	of, ok := tables[e.table]
	if !ok {
		return broken("sqlite", "its schema has an index without a table")
	}
	db.maxRoot = max(db.maxRoot, e.root)
	t := &sqliteTree{db: db, order: sqliteOrder{text: db.collation(max(e.text, of.text))}}
	if err := t.walk(e.root, 1); err != nil {
		return err
	}
	switch {
	case !t.index:
		return broken("sqlite", "page %d: a table where an index has to be", e.root)
	case !e.partial && t.rows != of.rows:
		return broken("sqlite", "page %d: an index of %d rows for a table of %d", e.root, t.rows, of.rows)
	case !e.partial && of.hasRowids && t.rowids != of.rowids && !t.spilled:
		return broken("sqlite", "page %d: an index of other rows than its table has", e.root)
	}
	return nil
}

// sqliteSchemaRow reads type, name, tbl_name, rootpage and sql.
func sqliteSchemaRow(row []byte, size uint64) (e sqliteEntry, ok bool) {
	columns := 0
	partly := uint64(len(row)) < size
	sqliteColumns(row, func(i int, v sqliteValue) bool {
		columns++
		switch i {
		case 0:
			e.index = isText(v.b, "index")
		case 2:
			e.table = strings.ToLower(string(v.b))
		case 3:
			root, integer := v.integer()
			if columns = 0; integer && root >= 0 && root < 1<<31 || v.kind == 0 {
				columns = 4
			}
			e.root = uint32(root)
		case 4:
			sql := bytes.ToLower(bytes.ReplaceAll(v.b, []byte{0}, nil)) // UTF-16, too
			e.text = sqliteCollationOf(sql)
			e.partial = bytes.Contains(sql, []byte("where"))
			if partly {
				e.text, e.partial = sqliteOther, true
			}
		}
		return true
	})
	return e, columns == 5
}

// isText compares in all encodings that a database may have.
func isText(b []byte, s string) bool {
	return string(bytes.ReplaceAll(b, []byte{0}, nil)) == s
}
