package virtual

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxImage bounds the image file, in bytes.
const maxImage = 64 << 20

// state is what the image file keeps.
type state struct {
	Version int   `json:"version"`
	Tries   int   `json:"tries"` // left for the PIN
	Root    *File `json:"root"`
}

// takeUp loads the image if there is one, and else begins it.
func (c *Card) takeUp() error {
	if c.options.Image == "" {
		return nil
	}
	loaded, err := readState(c.options.Image)
	if errors.Is(err, fs.ErrNotExist) {
		return c.save()
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", c.options.Image, err)
	}
	c.root, c.tries = loaded.Root, min(loaded.Tries, c.options.Tries)
	return nil
}

func readState(path string) (*state, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxImage {
		return nil, fmt.Errorf("%w: %d bytes", errBadTree, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseState(b)
}

func parseState(b []byte) (*state, error) {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if s.Version != 1 || s.Tries < 0 || s.Root == nil || !s.Root.Dir || s.Root.FID != fidMF {
		return nil, errBadTree
	}
	return &s, s.Root.check(0)
}

// save replaces the image in one step, so that a killed program leaves a whole
// one. It is not flushed: a virtual card need not outlive a power cut.
func (c *Card) save() error {
	if c.options.Image == "" {
		return nil
	}
	b, err := json.Marshal(state{Version: 1, Tries: c.tries, Root: c.root})
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(c.options.Image), ".card-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(b)
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), c.options.Image)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot keep virtual card: %w", err), os.Remove(temp.Name()))
	}
	return nil
}
