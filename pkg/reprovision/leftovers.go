package reprovision

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// tempBeside makes a temporary name in the directory of rel, one that
// userdata.IsTemp knows again.
func tempBeside(rel string) string {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return path.Join(path.Dir(rel), userdata.TempPrefix+hex.EncodeToString(b[:]))
}

// clean removes the unfinished files of an earlier run from every directory of
// the root that this one writes to. What cannot be removed stays: it is no user
// data, so it harms nobody, and the restore goes on.
func (j *job) clean(r *os.Root, name string) {
	seen := make(map[string]bool)
	for _, a := range j.plan.Actions {
		dir := path.Dir(a.Want.Name.Rel())
		if a.Want.Name.Root() != name || seen[dir] {
			continue
		}
		seen[dir] = true
		if err := removeLeftovers(r, dir); err != nil {
			j.Log.Warn("leftovers of an interrupted restore stay", "root", name, "error", err)
		}
	}
}

// removeLeftovers deletes the unfinished files of an earlier run that was
// killed, all that it can. Their names are ours alone.
func removeLeftovers(root *os.Root, dir string) error {
	d, err := openDir(root, dir)
	if err != nil {
		return nil // not there yet, or no directory: nothing left over
	}
	defer d.Close()
	entries, err := d.Readdirnames(-1)
	var failed []error
	if err != nil {
		failed = append(failed, fmt.Errorf("cannot list %q: %w", userdata.Printable(dir), err))
	}
	for _, name := range entries {
		if !userdata.IsTemp(name) {
			continue
		}
		if err := root.Remove(path.Join(dir, name)); err != nil {
			failed = append(failed, fmt.Errorf("cannot remove what an interrupted restore left: %w", err))
		}
	}
	return errors.Join(failed...)
}
