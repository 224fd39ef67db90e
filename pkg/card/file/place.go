package file

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
)

// Where the system tells of file systems.
const (
	defaultLinks  = "/dev/disk/by-uuid"
	defaultMounts = "/proc/self/mountinfo"
)

// maxMounts is the number of bytes of the mount table that are looked at.
const maxMounts = 4 << 20

// place finds the image. On a medium that is not there or not mounted it gives
// card.ErrNoCard: both change without our doing.
func (c Config) place() (string, error) {
	if c.UUID == "" {
		return c.Path, nil
	}
	device, err := filepath.EvalSymlinks(filepath.Join(c.Links, c.UUID))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: no file system %s", card.ErrNoCard, c.UUID)
	}
	if err != nil {
		return "", err
	}
	top, err := c.mountPoint(device)
	if err != nil {
		return "", err
	}
	return within(top, c.Path)
}

// mountPoint finds where a block device is mounted as a whole.
func (c Config) mountPoint(device string) (string, error) {
	var found unix.Stat_t
	if err := unix.Stat(device, &found); err != nil {
		return "", fmt.Errorf("%w: %s: %w", card.ErrNoCard, device, err)
	}
	if found.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", fmt.Errorf("%w: %s is no block device", card.ErrForeign, device)
	}
	table, err := os.Open(c.Mounts)
	if err != nil {
		return "", err
	}
	defer table.Close()
	point := ""
	number := fmt.Sprintf("%d:%d", unix.Major(found.Rdev), unix.Minor(found.Rdev))
	lines := bufio.NewScanner(io.LimitReader(table, maxMounts))
	lines.Buffer(nil, maxMounts)
	for lines.Scan() {
		// The last one counts: it may cover one before. File systems such as btrfs
		// have a number of their own, and name the device.
		if m, ok := parseMount(lines.Text()); ok && m.root == "/" && (m.number == number || m.source == device) {
			point = m.point
		}
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	if point == "" {
		return "", fmt.Errorf("%w: %s is not mounted", card.ErrNoCard, device)
	}
	return point, nil
}

// mount is what a line of the mount table says.
type mount struct{ number, root, point, source string }

// parseMount reads a line of mountinfo, see proc(5).
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	fields, more := strings.Fields(before), strings.Fields(after)
	if !ok || len(fields) < 6 || len(more) < 2 {
		return mount{}, false
	}
	return mount{number: fields[2], root: unescape(fields[3]), point: unescape(fields[4]), source: unescape(more[1])}, true
}

// unescape undoes the octal escapes of blanks and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, `\`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if len(after) >= 3 {
			if n, err := strconv.ParseUint(after[:3], 8, 8); err == nil {
				b.WriteByte(byte(n))
				s = after[3:]
				continue
			}
		}
		b.WriteByte('\\')
		s = after
	}
}

// within gives the path of the image below the top of its file system. Directories
// on a medium that somebody else may have written must not lead out of it.
func within(top, path string) (string, error) {
	root, err := os.OpenRoot(top)
	if err != nil {
		return "", fmt.Errorf("%w: %w", card.ErrNoCard, err)
	}
	defer root.Close()
	var last fs.FileInfo
	for _, part := range []string{".", filepath.Dir(path)} {
		info, err := root.Lstat(part)
		if err == nil && !info.IsDir() {
			err = errors.New("no directory")
		}
		if err == nil && last != nil && deviceOf(info) != deviceOf(last) {
			err = errors.New("another file system")
		}
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", card.ErrForeign, filepath.Join(top, part), err)
		}
		last = info
	}
	return filepath.Join(top, path), nil
}

func deviceOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Dev
	}
	return 0
}
