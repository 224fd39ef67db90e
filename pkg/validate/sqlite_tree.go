package validate

// sqliteTreeDepth is how many levels a tree may have, as in SQLite itself.
const sqliteTreeDepth = 20

// sqliteTree is the walk through the B-tree of a table or an index.
type sqliteTree struct {
	db        *sqliteDB
	index     bool // its pages are those of an index; so are those of a table WITHOUT ROWID
	leafDepth int
	began     bool
	last      int64 // rowid
	order     sqliteOrder
	each      func(c sqliteCell) error // called for each row, where it is set

	rows    uint64
	rowids  uint64 // their sum: of the rows of a table, or of those that an index points at
	spilled bool   // some keys of the index do not lie in its pages alone
}

// walk looks at every page of the tree.
func (t *sqliteTree) walk(root, by uint32) error {
	if err := t.db.claim(root, by, sqliteRoot, 0); err != nil {
		return err
	}
	return t.page(root, 0)
}

func (t *sqliteTree) wrong(page uint32, what string) error {
	return broken("sqlite", "page %d: %s", page, what)
}

// page looks at a page that is claimed, and at those below it.
func (t *sqliteTree) page(n uint32, depth int) error {
	if depth == sqliteTreeDepth {
		return t.wrong(n, "a tree of too many levels")
	}
	p, err := t.load(n, depth)
	if err != nil {
		return err
	}
	for i := range p.cells {
		c, what := p.cell(i)
		if what != "" {
			return t.wrong(n, what)
		}
		if err := t.cell(p, c, depth); err != nil {
			return err
		}
	}
	if p.leaf() {
		return nil
	}
	return t.child(p.rightmost(), p, depth)
}

// load reads a page into the buffer of its level and checks what it is by itself.
func (t *sqliteTree) load(n uint32, depth int) (*sqlitePage, error) {
	if depth == len(t.db.buffers) {
		t.db.buffers = append(t.db.buffers, make([]byte, t.db.usable))
	}
	p := &sqlitePage{number: n, b: t.db.buffers[depth]}
	if n == 1 {
		p.head = sqliteHeader
	}
	if err := t.db.read(n, 0, p.b); err != nil {
		return nil, err
	}
	what := p.header()
	if what == "" {
		t.db.spans, what = p.layout(t.db.spans)
	}
	if depth == 0 {
		t.index = p.index()
	}
	switch {
	case what != "":
	case p.index() != t.index:
		what = "a page of another kind of tree"
	case p.leaf() && t.leafDepth == 0:
		t.leafDepth = depth + 1
	case p.leaf() && t.leafDepth != depth+1:
		what = "leaves of a tree at different levels"
	}
	if what != "" {
		return nil, t.wrong(n, what)
	}
	return p, nil
}

func (t *sqliteTree) child(child uint32, p *sqlitePage, depth int) error {
	if err := t.db.claim(child, p.number, sqliteBTree, p.number); err != nil {
		return err
	}
	return t.page(child, depth+1)
}

// cell looks at a cell in the order of keys: what lies left of it first.
func (t *sqliteTree) cell(p *sqlitePage, c sqliteCell, depth int) error {
	if !p.leaf() {
		if err := t.child(c.child, p, depth); err != nil {
			return err
		}
	}
	if p.kind == sqliteTableInterior {
		// It separates: the row that it was taken from may be gone by now.
		if t.began && t.last > c.rowid {
			return t.wrong(p.number, "rows out of order")
		}
		t.began, t.last = true, c.rowid
		return nil
	}
	return t.row(p, c)
}

// row looks at a row of a table or a key of an index.
func (t *sqliteTree) row(p *sqlitePage, c sqliteCell) error {
	if what := sqliteRecord(c.local, c.size); what != "" {
		return t.wrong(p.number, what)
	}
	if t.db.texts.of(c.local); t.db.texts.blank(0, c.local) {
		return t.wrong(p.number, "NUL bytes in a text")
	}
	if !t.inOrder(c) {
		return t.wrong(p.number, "rows or keys out of order")
	}
	t.rows++
	if uint64(len(c.local)) < c.size {
		if err := t.db.overflow(c, p.number); err != nil {
			return err
		}
	}
	if t.each != nil {
		return t.each(c)
	}
	return nil
}

// inOrder takes a row's place in the order of the tree, and counts its rowid.
func (t *sqliteTree) inOrder(c sqliteCell) bool {
	if t.index {
		if t.spilled = t.spilled || uint64(len(c.local)) < c.size; !t.spilled {
			t.rowids += sqliteLastInteger(c.local)
		}
		return t.order.next(c.local)
	}
	ok := !t.began || t.last < c.rowid
	t.began, t.last = true, c.rowid
	t.rowids += uint64(c.rowid)
	return ok
}

// sqliteLastInteger gives the last column of an index's key, the rowid of its row.
func sqliteLastInteger(local []byte) uint64 {
	last := uint64(0)
	sqliteColumns(local, func(_ int, v sqliteValue) bool {
		n, _ := v.integer()
		last = uint64(n)
		return true
	})
	return last
}
