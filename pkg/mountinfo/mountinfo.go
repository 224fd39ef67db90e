// Package mountinfo owns the reading of the kernel's table of mounts, the format of
// proc_pid_mountinfo(5): bytes in, values out. It holds no state and starts nothing.
// The mechanisms import it.
package mountinfo

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// File is the table of the mount namespace that the process is in. A poll of it for
// POLLPRI wakes when a mount comes, goes or gets other options.
const File = "/proc/self/mountinfo"

// maxSize bounds the table, in bytes; the kernel grants 100,000 mounts at most.
const maxSize = 16 << 20

// Mount is a line of the table.
type Mount struct {
	ID     int    // as statx(2) gives it by STATX_MNT_ID
	Parent int    // the ID of the mount that the mount point lies on
	Device string // "major:minor" of the file system
	Root   string // the directory of the file system that is to be seen at Point
	Point  string // the mount point, as the process sees it
	Type   string // of the file system; "" when the line does not tell
	// ReadOnly tells that the mount or its file system is.
	ReadOnly bool
}

// Table is what is mounted, in the order of the kernel.
type Table []Mount

// Read reads the table.
func Read() (Table, error) {
	f, err := os.Open(File)
	if err != nil {
		return nil, fmt.Errorf("cannot list the mounts: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err != nil {
		return nil, fmt.Errorf("cannot list the mounts: %w", err)
	}
	return Parse(data), nil
}

// Parse reads the bytes of a table. Lines that make no sense are passed over.
func Parse(data []byte) Table {
	var t Table
	for line := range bytes.Lines(data) {
		if m, ok := parseLine(strings.Split(strings.TrimSuffix(string(line), "\n"), " ")); ok {
			t = append(t, m)
		}
	}
	return t
}

// parseLine reads the fields of a line: ID, parent, device, root, mount point,
// options of the mount, any number of optional ones, "-", type, source, and options
// of the file system. The kernel escapes a space in them, and no other blank than that,
// tab and line end.
func parseLine(fields []string) (Mount, bool) {
	if len(fields) < 6 {
		return Mount{}, false
	}
	id, err := strconv.Atoi(fields[0])
	if err != nil {
		return Mount{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	m := Mount{ID: id, Parent: parent, Device: fields[2], Root: unescape(fields[3]), Point: unescape(fields[4])}
	if err != nil || !strings.HasPrefix(m.Point, "/") {
		return Mount{}, false
	}
	m.ReadOnly = readOnly(fields[5])
	if i := slices.Index(fields[6:], "-"); i >= 0 {
		rest := fields[6+i+1:]
		if len(rest) > 0 {
			m.Type = unescape(rest[0])
		}
		m.ReadOnly = m.ReadOnly || len(rest) > 2 && readOnly(rest[len(rest)-1])
	}
	return m, true
}

func readOnly(options string) bool {
	return options == "ro" || strings.HasPrefix(options, "ro,")
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

// ByID returns the mount with the ID.
func (t Table) ByID(id int) (Mount, bool) {
	i := slices.IndexFunc(t, func(m Mount) bool { return m.ID == id })
	if i < 0 {
		return Mount{}, false
	}
	return t[i], true
}

// Brings returns the mount that brings a file system to where the mount with the ID is
// to be seen: that mount itself, or the one below it as long as it brings nothing of
// its own. It is false for an ID that the table does not have.
func (t Table) Brings(id int) (Mount, bool) {
	m, ok := t.ByID(id)
	for range t { // a table that leads in a circle makes no sense, and ends
		below, known := t.ByID(m.Parent)
		if !ok || !known || below.ID == m.ID || !m.idle(below) {
			break
		}
		m = below
	}
	return m, ok
}

// idle tells whether the same would be to be seen at the mount point if the mount were
// not there: it shows the directory on which it is mounted, as a service manager does
// to give a service other rights there (ProtectSystem=, ReadWritePaths=), or it is an
// automount that waits, which holds nothing.
func (m Mount) idle(below Mount) bool {
	if m.Type == "autofs" {
		return true
	}
	rel, lies := strings.CutPrefix(m.Point, below.Point)
	if !lies || below.Point != "/" && rel != "" && rel[0] != '/' {
		return false
	}
	return m.Device == below.Device && m.Root == path.Join(below.Root, rel)
}
