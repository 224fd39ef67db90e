package validate

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// sexpDepth is how deep lists may lie in each other; keys need five.
const sexpDepth = 32

// sexpNode is an S-expression: a list, or an atom.
type sexpNode struct {
	atom   []byte
	list   []sexpNode
	isList bool
}

// sexpReader reads S-expressions in the canonical and in the advanced form, which libgcrypt
// mixes.
type sexpReader struct {
	b     []byte
	at    int
	depth int
}

func (r *sexpReader) space() {
	for r.at < len(r.b) && strings.IndexByte(" \t\r\n", r.b[r.at]) >= 0 {
		r.at++
	}
}

// node reads one expression; ok is false where it is broken, at r.at.
func (r *sexpReader) node() (n sexpNode, ok bool) {
	r.space()
	if r.at >= len(r.b) {
		return n, false
	}
	switch c := r.b[r.at]; {
	case c == '(':
		return r.nodes()
	case c == '#':
		n.atom, ok = r.enclosed('#', hexAtom)
	case c == '|':
		n.atom, ok = r.enclosed('|', base64Atom)
	case c == '"':
		n.atom, ok = r.quoted()
	case isDigit(c):
		n.atom, ok = r.counted()
	default:
		n.atom, ok = r.token()
	}
	return n, ok
}

func (r *sexpReader) nodes() (n sexpNode, ok bool) {
	if r.depth == sexpDepth {
		return n, false
	}
	r.depth++
	defer func() { r.depth-- }()
	r.at++
	n.isList = true
	for {
		r.space()
		if r.at < len(r.b) && r.b[r.at] == ')' {
			r.at++
			return n, true
		}
		child, ok := r.node()
		if !ok {
			return n, false
		}
		n.list = append(n.list, child)
	}
}

// enclosed reads what stands between two marks.
func (r *sexpReader) enclosed(mark byte, decode func(string) ([]byte, error)) ([]byte, bool) {
	end := bytes.IndexByte(r.b[r.at+1:], mark)
	if end < 0 {
		return nil, false
	}
	b, err := decode(strings.Join(strings.Fields(string(r.b[r.at+1:r.at+1+end])), ""))
	if err != nil {
		return nil, false
	}
	r.at += end + 2
	return b, true
}

func hexAtom(s string) ([]byte, error)    { return hex.DecodeString(s) }
func base64Atom(s string) ([]byte, error) { return base64.StdEncoding.DecodeString(s) }

func (r *sexpReader) quoted() (b []byte, ok bool) {
	for i := r.at + 1; i < len(r.b); i++ {
		switch r.b[i] {
		case '\\':
			i++
		case '"':
			b = r.b[r.at+1 : i]
			r.at = i + 1
			return b, true
		}
	}
	return nil, false
}

// counted reads "3:abc".
func (r *sexpReader) counted() ([]byte, bool) {
	end := r.at
	for end < len(r.b) && end-r.at < 8 && isDigit(r.b[end]) {
		end++
	}
	n, err := strconv.Atoi(string(r.b[r.at:end]))
	if err != nil || end >= len(r.b) || r.b[end] != ':' || n > len(r.b)-end-1 {
		return r.token() // a token may begin with a digit where the advanced form is lax
	}
	b := r.b[end+1 : end+1+n]
	r.at = end + 1 + n
	return b, true
}

func (r *sexpReader) token() ([]byte, bool) {
	start := r.at
	for r.at < len(r.b) && strings.IndexByte(sshNameCharacters+"/_:*+=", r.b[r.at]) >= 0 {
		r.at++
	}
	return r.b[start:r.at], r.at > start
}

// get gives the list among the children that begins with a word.
func (n sexpNode) get(word string) (sexpNode, bool) {
	for _, c := range n.list {
		if c.isList && len(c.list) > 0 && string(c.list[0].atom) == word {
			return c, true
		}
	}
	return sexpNode{}, false
}

// value gives the atom that follows a word in a list of its own.
func (n sexpNode) value(word string) []byte {
	if c, ok := n.get(word); ok && len(c.list) == 2 {
		return c.list[1].atom
	}
	return nil
}
