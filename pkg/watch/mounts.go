package watch

import (
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/mountinfo"
)

// mountsBelow returns the mount points that lie below the path, sorted.
func mountsBelow(path string) ([]string, error) {
	table, err := mountinfo.Read()
	if err != nil {
		return nil, err
	}
	var below []string
	for _, m := range table {
		if m.Point != path && within(m.Point, path) {
			below = append(below, m.Point)
		}
	}
	slices.Sort(below)
	return slices.Compact(below), nil
}

// within tells whether the path is dir or lies below it; both are clean.
func within(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/' || dir == "/")
}
