package scan

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits of an item's extended attributes. One value is at most what Linux
// allows (XATTR_SIZE_MAX), a list of names likewise (XATTR_LIST_MAX).
const (
	maxXattrs     = 64
	maxXattrValue = 64 << 10
	maxXattrTotal = 256 << 10
	maxXattrList  = 64 << 10
)

var errXattrsCut = errors.New("extended attributes beyond the limits were left out")

// carried tells which extended attributes belong to an item: the owner's own,
// POSIX ACLs and file capabilities. Labels of security modules and what is
// trusted to root belong to the machine.
func carried(name string) bool {
	switch name {
	case "system.posix_acl_access", "system.posix_acl_default", "security.capability":
		return true
	}
	return strings.HasPrefix(name, "user.")
}

// readXattrs reads the extended attributes of an open file. cut tells that some
// were left out: it returns those that fit, in order of their names.
func readXattrs(fd int) (attrs map[string][]byte, cut bool, err error) {
	names, err := listXattrs(fd)
	if err != nil {
		return nil, false, err
	}
	total := 0
	for _, name := range names {
		value, err := getXattr(fd, name)
		if errors.Is(err, unix.ENODATA) {
			continue // gone since it was listed
		}
		if err != nil {
			return nil, false, err
		}
		if total += len(value); len(attrs) == maxXattrs || total > maxXattrTotal {
			return attrs, true, nil
		}
		if attrs == nil {
			attrs = make(map[string][]byte, len(names))
		}
		attrs[name] = value
	}
	return attrs, false, nil
}

// listXattrs returns the sorted names of the attributes that are carried.
func listXattrs(fd int) ([]string, error) {
	list, err := readSized(maxXattrList, func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list extended attributes: %w", err)
	}
	var names []string
	for name := range bytes.SplitSeq(list, []byte{0}) {
		if carried(string(name)) {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func getXattr(fd int, name string) ([]byte, error) {
	value, err := readSized(maxXattrValue, func(buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
	if err != nil {
		return nil, fmt.Errorf("cannot read an extended attribute: %w", err)
	}
	return value, nil
}

// readSized asks get how much there is and then for all of it, again when it
// grew in between.
func readSized(limit int, get func([]byte) (int, error)) ([]byte, error) {
	for range maxAttempts {
		size, err := get(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		if size > limit {
			return nil, unix.E2BIG
		}
		buf := make([]byte, size)
		n, err := get(buf)
		if !errors.Is(err, unix.ERANGE) {
			return buf[:max(n, 0)], err
		}
	}
	return nil, errChanged
}
