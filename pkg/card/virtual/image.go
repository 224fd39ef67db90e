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
	Version int `json:"version"`
	codes
	Root *File        `json:"root"`
	PIV  *application `json:"piv,omitempty"`
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
	if (loaded.PIV != nil) != (c.piv != nil) {
		return fmt.Errorf("cannot use %s: %w: it is of another kind", c.options.Image, errBadTree)
	}
	c.root, c.piv, c.codes = loaded.Root, loaded.PIV, loaded.codes.over(c.options)
	return nil
}

// over completes codes of an image that was made before images kept them.
func (k codes) over(o Options) codes {
	fresh := o.codes()
	if len(k.PUK) == 0 {
		fresh.Tries = k.Tries
		k = fresh
	}
	k.Tries, k.PUKTries = min(k.Tries, o.Tries), min(k.PUKTries, o.Tries)
	return k
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
	if s.Version != 1 || s.Tries < 0 || s.PUKTries < 0 || s.Root == nil || !s.Root.Dir || s.Root.FID != fidMF {
		return nil, errBadTree
	}
	if s.PIV != nil {
		if err := s.PIV.load(); err != nil {
			return nil, err
		}
	}
	return &s, s.Root.check(0)
}

// save replaces the image in one step, so that a killed program leaves a whole
// one. It is not flushed: a virtual card need not outlive a power cut.
func (c *Card) save() error {
	if c.options.Image == "" {
		return nil
	}
	b, err := json.Marshal(state{Version: 1, codes: c.codes, Root: c.root, PIV: c.piv})
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
