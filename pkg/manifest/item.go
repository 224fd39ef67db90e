package manifest

import (
	"crypto/sha256"
	"maps"
	"slices"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// Type is what kind of file an item is.
type Type uint8

// The kinds of file that a data set carries; sockets, pipes and device nodes
// are not user data.
const (
	File    Type = 1
	Dir     Type = 2
	Symlink Type = 3
)

func (t Type) String() string {
	switch t {
	case File:
		return "file"
	case Dir:
		return "directory"
	case Symlink:
		return "symlink"
	}
	return "unknown"
}

// Digest is the SHA-256 of a file's contents; zero for what has no contents.
type Digest [sha256.Size]byte

// Item is one file, directory or symlink as it is to be restored.
type Item struct {
	Name   userdata.Name  `cbor:"1,keyasint"`
	Class  userdata.Class `cbor:"2,keyasint"`
	Type   Type           `cbor:"3,keyasint"`
	Mode   uint32         `cbor:"4,keyasint"` // permission, setuid, setgid and sticky bits (07777)
	UID    uint32         `cbor:"5,keyasint,omitempty"`
	GID    uint32         `cbor:"6,keyasint,omitempty"`
	MTime  int64          `cbor:"7,keyasint"` // nanoseconds since the epoch
	Size   int64          `cbor:"8,keyasint,omitempty"`
	Digest Digest         `cbor:"9,keyasint,omitempty"`
	Target string         `cbor:"10,keyasint,omitempty"` // of a symlink
	// Xattrs are the extended attributes, POSIX ACLs among them.
	Xattrs map[string][]byte `cbor:"11,keyasint,omitempty"`
	// Kind is what the contents were when they were read: "text", a format, with
	// a colon and what identifies the item behind it where the format has such,
	// or "" for not known. It follows from the contents and counts in no
	// comparison.
	Kind string `cbor:"12,keyasint,omitempty"`
}

// SameContents tells whether two items are the same kind of file with the same
// contents, whatever their metadata.
func (i Item) SameContents(o Item) bool {
	return i.Type == o.Type && i.Size == o.Size && i.Digest == o.Digest && i.Target == o.Target
}

// SameMetadata compares mode, owner, mtime and extended attributes. The mtime
// of a directory counts for nothing: it says only that an entry came or went,
// and a symlink has no mode of its own.
func (i Item) SameMetadata(o Item) bool {
	return (i.Mode == o.Mode || i.Type == Symlink) && i.UID == o.UID && i.GID == o.GID &&
		(i.MTime == o.MTime || i.Type == Dir) &&
		maps.EqualFunc(i.Xattrs, o.Xattrs, slices.Equal[[]byte])
}

// Equal tells whether a restore of one item would leave the other as it is.
func (i Item) Equal(o Item) bool {
	return i.Name == o.Name && i.SameContents(o) && i.SameMetadata(o)
}
