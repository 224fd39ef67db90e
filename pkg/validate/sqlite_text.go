package validate

import "bytes"

// sqliteZeros is how many NULs in a row no text has, though SQLite would keep them. A
// blanked part of a page, or a whole page of a row's overflow, leaves more than that.
const sqliteZeros = 64

// sqliteTexts is where the texts of a row are, counted from the row's beginning.
type sqliteTexts struct {
	spans [][2]uint64
	zeros [sqliteZeros]byte
}

// of learns the row, from the part of it in its page; its header may have more columns
// than that part tells.
func (t *sqliteTexts) of(local []byte) {
	t.spans = t.spans[:0]
	header, at := sqliteVarint(local)
	if at == 0 || header > uint64(len(local)) {
		return
	}
	body := header
	for at < int(header) {
		kind, n := sqliteVarint(local[at:header])
		width, ok := sqliteWidth(kind)
		if n == 0 || !ok {
			return
		}
		if kind >= 13 && kind%2 == 1 && width >= sqliteZeros {
			t.spans = append(t.spans, [2]uint64{body, body + width})
		}
		at, body = at+n, body+width
	}
}

// blank tells whether a part of the row, that begins at an offset of it, holds a text of NULs.
func (t *sqliteTexts) blank(offset uint64, part []byte) bool {
	end := offset + uint64(len(part))
	for _, s := range t.spans {
		from, to := max(s[0], offset), min(s[1], end)
		if from < to && bytes.Contains(part[from-offset:to-offset], t.zeros[:]) {
			return true
		}
	}
	return false
}
