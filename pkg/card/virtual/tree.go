package virtual

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Limits of the file system.
const (
	fidMF       = 0x3F00
	fileCost    = 32 // bytes of the card's memory that each file takes beside its data
	maxDepth    = 8
	maxChildren = 256
)

// File is a directory (DF) or a transparent file (EF) on the card.
type File struct {
	FID      uint16  `json:"fid"`
	Dir      bool    `json:"dir,omitempty"`
	Name     []byte  `json:"name,omitempty"` // DF name, 1 to 16 bytes
	Data     []byte  `json:"data,omitempty"` // of an EF; its length never changes
	Children []*File `json:"children,omitempty"`
}

// cost is the card's memory that the file takes with all below it, in bytes.
func (f *File) cost() int {
	n := fileCost + len(f.Data)
	for _, child := range f.Children {
		n += child.cost()
	}
	return n
}

func (f *File) child(fid uint16) *File {
	for _, child := range f.Children {
		if child.FID == fid {
			return child
		}
	}
	return nil
}

// named finds a DF by its name anywhere below f.
func (f *File) named(name []byte) *File {
	if f.Dir && len(name) > 0 && bytes.Equal(f.Name, name) {
		return f
	}
	for _, child := range f.Children {
		if found := child.named(name); found != nil {
			return found
		}
	}
	return nil
}

// parentOf finds the directory that holds target, nil for the root.
func (f *File) parentOf(target *File) *File {
	for _, child := range f.Children {
		if child == target {
			return f
		}
		if found := child.parentOf(target); found != nil {
			return found
		}
	}
	return nil
}

func (f *File) remove(target *File) {
	f.Children = slices.DeleteFunc(f.Children, func(c *File) bool { return c == target })
}

// clone copies the file with all below it.
func (f *File) clone() *File {
	c := &File{FID: f.FID, Dir: f.Dir, Name: bytes.Clone(f.Name), Data: bytes.Clone(f.Data)}
	for _, child := range f.Children {
		c.Children = append(c.Children, child.clone())
	}
	return c
}

var errBadTree = errors.New("not a card's file system")

// check refuses trees that no command could have made.
func (f *File) check(depth int) error {
	switch {
	case f == nil, depth > maxDepth, len(f.Children) > maxChildren, len(f.Name) > 16:
		return errBadTree
	case f.Dir && len(f.Data) > 0, !f.Dir && len(f.Children)+len(f.Name) > 0:
		return fmt.Errorf("%w: file %04X is directory and file at once", errBadTree, f.FID)
	}
	for i, child := range f.Children {
		if err := child.check(depth + 1); err != nil {
			return err
		}
		if f.child(child.FID) != f.Children[i] {
			return fmt.Errorf("%w: two files %04X", errBadTree, child.FID)
		}
	}
	return nil
}
