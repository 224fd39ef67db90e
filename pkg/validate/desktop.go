package validate

import (
	"bytes"
	"context"
	"regexp"
)

func recogniseDesktop(name string, head []byte) bool {
	return hasSuffix(name, ".desktop", ".directory") && bytes.Contains(head, []byte("Desktop Entry]"))
}

// checkDesktop looks at a desktop entry by the Desktop Entry Specification: UTF-8,
// lines of key=value in groups, the group "Desktop Entry" (of KDE once) first.
func checkDesktop(ctx context.Context, f File) error {
	t := f.text(ctx, "desktop")
	group := regexp.MustCompile(`^\[[^\[\]\x00-\x1f]+\]$`)
	entry := regexp.MustCompile(`^[A-Za-z0-9_-]+[ \t]*(\[[^\[\]=]+\])?[ \t]*=`)
	groups := 0
	err := eachLine(t, func(n int, line []byte, first bool) error {
		switch {
		case !first || line[0] == '#':
		case line[0] == '[':
			if !group.Match(line) {
				return broken("desktop", "line %d: the name of a group is not whole", n)
			}
			if groups == 0 && !bytes.HasSuffix(line, []byte("Desktop Entry]")) {
				return broken("desktop", "line %d: the first group is not the desktop entry", n)
			}
			groups++
		case groups == 0:
			return broken("desktop", "line %d: something stands before the first group", n)
		case !entry.Match(line):
			return broken("desktop", "line %d: no key with a value", n)
		}
		return nil
	})
	if err == nil && groups == 0 {
		err = broken("desktop", "it has no desktop entry")
	}
	return t.verdict(err)
}
