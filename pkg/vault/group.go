package vault

import (
	"bytes"
	"strings"
)

// Contents of one kind, one after the other, compress better than as they come: what they
// share stays near, and the codes of one kind are not those of another. So a packer keeps
// several packs open, one for each group of contents, and joins what is left in them when it ends.

const (
	// maxGroups is how many packs of a part are open at once. Whatever belongs to a further
	// group goes to the common one.
	maxGroups = 12
	// groupHead is how many bytes of contents are looked at.
	groupHead = 64
	// minFrame is the least bytes of contents that are worth a frame of their own.
	minFrame = 4 << 10
)

// groupOf says what contents begin like: the first bytes of binary formats; of text the signs
// before the first word, and whether that is a number, a word or capitals. In the
// critical part, which is small and has few formats, it is the whole beginning.
func groupOf(part Part, b []byte) string {
	head := b[:min(len(b), groupHead)]
	if bytes.ContainsFunc(head, func(r rune) bool { return r == 0 || r == '\uFFFD' }) {
		return "b" + string(head[:min(len(head), 4)])
	}
	if part == Critical {
		return "c" + string(head[:min(len(head), 16)])
	}
	signs := 0
	for signs < min(len(head), 6) && charClass(head[signs]) == 's' {
		signs++
	}
	group := append([]byte{'t'}, head[:signs]...)
	for _, c := range head[signs:min(len(head), signs+2)] {
		group = append(group, charClass(c))
	}
	return string(group)
}

func charClass(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return '0'
	case c >= 'a' && c <= 'z', c >= 0x80:
		return 'a'
	case c >= 'A' && c <= 'Z':
		return 'A'
	}
	return 's'
}

// slot is a pack that was opened for a group: where its contents lie in the end.
type slot struct {
	pack int    // number of the pack
	base uint32 // before its contents
}

// openGroup is the open slot of a group.
type openGroup struct {
	name string
	slot int    // its number, counted from 1; 0 while there is nothing in it
	buf  []byte // its contents
	// target is when it is full, in bytes before compression.
	target int
}

// targetOf is when a pack of a group is full. Text and databases take two thirds of its size on the link or less,
// and the more of them lies together the better they compress.
func targetOf(group string) int {
	if strings.HasPrefix(group, "t") || group == "bSQLi" {
		return maxTarget
	}
	return packTarget
}

// group returns the open slot for a group of contents.
func (p *packer) group(name string) *openGroup {
	for _, g := range p.open {
		if g.name == name {
			return g
		}
	}
	if len(p.open) == maxGroups {
		return p.open[0]
	}
	if len(p.open) == 0 {
		p.open = append(p.open, &openGroup{target: packTarget}) // the common one
		return p.group(name)
	}
	g := &openGroup{name: name, target: targetOf(name)}
	p.open = append(p.open, g)
	return g
}

// cuts are where a pack's frames end.
func cuts(groups []*openGroup) []int {
	var ends []int
	end, start := 0, 0
	for i, g := range groups {
		end += len(g.buf)
		if i == len(groups)-1 || end-start >= minFrame && len(groups[i+1].buf) >= minFrame {
			ends, start = append(ends, end), end
		}
	}
	return ends
}
