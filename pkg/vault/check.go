package vault

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
)

var (
	// ErrDataSet is wrapped when what the reader or a file delivered is not a
	// valid data set, or not the one it is said to be.
	ErrDataSet = errors.New("not a valid data set")
	// ErrLimit is wrapped when something exceeds a limit of this package.
	ErrLimit = errors.New("over the limit")
	// ErrTooLarge says that a file is too large for a data set (MaxExtents).
	ErrTooLarge = errors.New("file too large for a data set")
)

// entryError says which entry is wrong, in printable form.
func entryError(name userdata.Name, format string, args ...any) error {
	return fmt.Errorf("%w: item %q: %w", ErrDataSet, userdata.Printable(string(name)), fmt.Errorf(format, args...))
}

// checkItem holds an item against everything that a restore relies on, but for
// its size and digest.
func checkItem(it manifest.Item) error {
	if _, err := userdata.ParseName(string(it.Name)); err != nil {
		return fmt.Errorf("%w: %w", ErrDataSet, err)
	}
	if _, err := userdata.ParseClass(string(it.Class)); err != nil {
		return entryError(it.Name, "%w", err)
	}
	if it.Mode > 0o7777 {
		return entryError(it.Name, "mode %o", it.Mode)
	}
	if len(it.Kind) > maxKind || !utf8.ValidString(it.Kind) || it.Kind != "" && it.Type != manifest.File {
		return entryError(it.Name, "a bad kind of contents")
	}
	if it.Name.IsRoot() && it.Type != manifest.Dir {
		return entryError(it.Name, "a root that is a %s", it.Type)
	}
	if err := checkTarget(it); err != nil {
		return err
	}
	return checkXattrs(it)
}

func checkTarget(it manifest.Item) error {
	switch it.Type {
	case manifest.Symlink:
		if it.Target == "" || len(it.Target) > MaxTarget || strings.IndexByte(it.Target, 0) >= 0 {
			return entryError(it.Name, "a symlink's target of %d bytes, or with a NUL", len(it.Target))
		}
	case manifest.File, manifest.Dir:
		if it.Target != "" {
			return entryError(it.Name, "a %s with a symlink's target", it.Type)
		}
	default:
		return entryError(it.Name, "type %d", uint8(it.Type))
	}
	return nil
}

func checkXattrs(it manifest.Item) error {
	total := 0
	for name, value := range it.Xattrs {
		if name == "" || len(name) > userdata.MaxComponent || strings.IndexByte(name, 0) >= 0 {
			return entryError(it.Name, "an extended attribute's name of %d bytes, or with a NUL", len(name))
		}
		total += len(name) + len(value)
	}
	if len(it.Xattrs) > MaxXattrs || total > MaxXattrBytes {
		return entryError(it.Name, "%d extended attributes of %d bytes: %w", len(it.Xattrs), total, ErrLimit)
	}
	return nil
}

// checkContents holds an entry's extents against its size and against the
// sizes of the packs that they refer to.
func checkContents(e Entry, packs map[BlobID]uint32) error {
	if e.Type != manifest.File && (e.Size != 0 || e.Digest != manifest.Digest{} || len(e.Extents) > 0) {
		return entryError(e.Name, "a %s with contents", e.Type)
	}
	if e.Type == manifest.File && e.Size == 0 && e.Digest != sha256.Sum256(nil) {
		return entryError(e.Name, "a wrong digest of no bytes")
	}
	if len(e.Extents) > MaxExtents {
		return entryError(e.Name, "%d extents: %w", len(e.Extents), ErrLimit)
	}
	var sum int64
	for _, x := range e.Extents {
		if err := checkExtent(x, packs); err != nil {
			return entryError(e.Name, "%w", err)
		}
		if len(e.Extents) == 1 && x.Sum != (Sum{}) {
			return entryError(e.Name, "the sum of an only extent")
		}
		sum += int64(x.Len)
	}
	if sum != e.Size {
		return entryError(e.Name, "extents of %d bytes for a size of %d", sum, e.Size)
	}
	return nil
}

func checkExtent(x Extent, packs map[BlobID]uint32) error {
	size, ok := packs[x.Pack]
	if !ok {
		return fmt.Errorf("an extent in an unknown pack %s", x.Pack)
	}
	if x.Len == 0 || x.Off > size || x.Len > size-x.Off {
		return fmt.Errorf("extent %d+%d in a pack of %d bytes", x.Off, x.Len, size)
	}
	return nil
}

// checkTree holds entries, sorted by name, against each other: every name
// once, and below each directory only what a directory of the data set holds.
// So no name can lead through a symlink or a file.
func checkTree(entries []Entry) error {
	if len(entries) > MaxItems {
		return fmt.Errorf("%w: %d items: %w", ErrDataSet, len(entries), ErrLimit)
	}
	dirs := make(map[userdata.Name]bool)
	for i, e := range entries {
		if i > 0 && entries[i-1].Name >= e.Name {
			return entryError(e.Name, "out of order or twice")
		}
		if !e.Name.IsRoot() && !dirs[e.Name.Parent()] {
			return entryError(e.Name, "its parent is no directory of the data set")
		}
		if e.Type == manifest.Dir {
			dirs[e.Name] = true
		}
	}
	return nil
}

// totalBytes adds up the sizes; false when they overflow.
func totalBytes(entries []Entry) (int64, bool) {
	var sum int64
	for _, e := range entries {
		if e.Size < 0 || e.Size > math.MaxInt64-sum {
			return 0, false
		}
		sum += e.Size
	}
	return sum, true
}
