package watch

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	mountInfo    = "/proc/self/mountinfo"
	maxMountInfo = 16 << 20
)

// mountsBelow returns the mount points that lie below the path, sorted.
func mountsBelow(path string) ([]string, error) {
	f, err := os.Open(mountInfo)
	if err != nil {
		return nil, fmt.Errorf("cannot list the mounts: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMountInfo))
	if err != nil {
		return nil, fmt.Errorf("cannot list the mounts: %w", err)
	}
	below := slices.DeleteFunc(parseMountInfo(data), func(p string) bool {
		return p == path || !within(p, path)
	})
	slices.Sort(below)
	return slices.Compact(below), nil
}

// parseMountInfo returns the mount points in the fifth field of each line of
// proc_pid_mountinfo(5). Lines that make no sense are passed over.
func parseMountInfo(data []byte) []string {
	var points []string
	for line := range bytes.Lines(data) {
		fields := bytes.SplitN(line, []byte{' '}, 6)
		if len(fields) == 6 && bytes.HasPrefix(fields[4], []byte{'/'}) {
			points = append(points, unescape(string(fields[4])))
		}
	}
	return points
}

// unescape turns the kernel's octal escapes (\040 for a space) into bytes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1:i+4]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(s string) bool {
	return s[0] <= '3' && strings.Trim(s, "01234567") == ""
}

// within tells whether the path is dir or lies below it; both are clean.
func within(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/' || dir == "/")
}
