package validate

import (
	"bytes"
	"regexp"
)

// sqliteCollation is how the texts of a table or an index may be ordered; the
// larger is the less that is known.
type sqliteCollation int

const (
	sqliteBinary  sqliteCollation = iota // by their bytes
	sqliteBuiltIn                        // perhaps without regard to case, or to spaces at the end
	sqliteOther                          // as a program says
)

// sqliteCollationOf tells from the SQL, in lower case, of a table or an index.
func sqliteCollationOf(sql []byte) sqliteCollation {
	most := sqliteBinary
	for _, m := range regexp.MustCompile(`collate[\s"'\[`+"`"+`]*([a-z0-9_]*)`).FindAllSubmatch(sql, -1) {
		switch string(m[1]) {
		case "binary":
		case "nocase", "rtrim":
			most = max(most, sqliteBuiltIn)
		default:
			most = sqliteOther
		}
	}
	return most
}

// sqliteOrder follows the keys of an index. Each column of it ascends or descends;
// which, the first keys that differ in it tell.
type sqliteOrder struct {
	text      sqliteCollation
	direction []int
	last      []byte // the local part of the last key
	columns   []sqliteValue
	began     bool
}

// next tells whether a key may come after the last one.
func (o *sqliteOrder) next(local []byte) bool {
	ok := !o.began || o.follows(local)
	o.began = true
	o.last = append(o.last[:0], local...)
	return ok
}

func (o *sqliteOrder) follows(local []byte) bool {
	column, sign, sure := o.difference(local)
	if !sure {
		return true
	}
	if sign == 0 {
		return false // the same key twice
	}
	for len(o.direction) <= column {
		o.direction = append(o.direction, 0)
	}
	if o.direction[column] == 0 {
		o.direction[column] = sign
	}
	return o.direction[column] == sign
}

// difference finds the first column in which a key differs from the last one.
func (o *sqliteOrder) difference(local []byte) (column, sign int, sure bool) {
	o.columns = o.columns[:0]
	sqliteColumns(o.last, func(_ int, v sqliteValue) bool {
		o.columns = append(o.columns, v)
		return true
	})
	before := o.columns
	seen := 0
	sqliteColumns(local, func(i int, v sqliteValue) bool {
		if i >= len(before) {
			return false
		}
		column, seen = i, i+1
		sign, sure = o.compare(v, before[i])
		return sure && sign == 0
	})
	if sign == 0 && (seen == 0 || !o.complete(local, seen) || seen != len(before)) {
		sure = false
	}
	return column, sign, sure
}

// compare orders two values of a column. Texts that BINARY and the other collations
// of SQLite order differently, it does not order.
func (o *sqliteOrder) compare(v, w sqliteValue) (sign int, sure bool) {
	sign, sure = v.compare(w)
	if o.text == sqliteBinary || v.class() != 2 || w.class() != 2 {
		return sign, sure
	}
	if o.text == sqliteOther || sign == 0 {
		return 0, sure && sign == 0
	}
	n := min(len(v.b), len(w.b))
	folded := bytes.Compare(asciiLower(v.b[:n]), asciiLower(w.b[:n]))
	trimmed := bytes.Compare(bytes.TrimRight(v.b, " "), bytes.TrimRight(w.b, " "))
	return sign, sure && folded == sign && trimmed == sign
}

// asciiLower folds as NOCASE does.
func asciiLower(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// complete tells whether all columns of a key were seen.
func (o *sqliteOrder) complete(local []byte, seen int) bool {
	header, at := sqliteVarint(local)
	n := 0
	for ; at > 0 && at < int(min(header, uint64(len(local)))); n++ {
		_, m := sqliteVarint(local[at:])
		if m == 0 {
			return false
		}
		at += m
	}
	return n == seen
}
