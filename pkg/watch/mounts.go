package watch

import (
	"slices"
	"strings"

	"github.com/reprovision/reprovision/pkg/mountinfo"
)

// mountsBelow returns the mount points that lie below the path, sorted, and those of them
// that are read-only.
func mountsBelow(path string) (points, readOnly []string, err error) {
	table, err := mountinfo.Read()
	if err != nil {
		return nil, nil, err
	}
	for _, m := range table {
		if m.Point == path || !within(m.Point, path) {
			continue
		}
		points = append(points, m.Point)
		if m.ReadOnly {
			readOnly = append(readOnly, m.Point)
		}
	}
	slices.Sort(points)
	slices.Sort(readOnly)
	return slices.Compact(points), readOnly, nil
}

// within tells whether the path is dir or lies below it; both are clean.
func within(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/' || dir == "/")
}
