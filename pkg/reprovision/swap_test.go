package reprovision

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The place is taken between the look at it and the rename.
func TestPlaceTakenAtTheLastMoment(t *testing.T) {
	for name, rename := range map[string]func(root *os.Root, tmp, rel string) error{
		"renameat2": renameNew, "checked": renameChecked,
	} {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		put := func(name, text string) {
			if err := errors.Join(os.MkdirAll(filepath.Join(dir, "d"), 0o700),
				os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		holds := func(name, want string) {
			if raw, err := os.ReadFile(filepath.Join(dir, name)); string(raw) != want {
				t.Errorf("%s holds %q, %v", name, raw, err)
			}
		}
		put("d/tmp", "restored")
		put("d/place", "the owner's new work")
		if err := rename(root, "d/tmp", "d/place"); !errors.Is(err, ErrChangedSince) {
			t.Errorf("%s: %v", name, err)
		}
		holds("d/place", "the owner's new work")
		if err := errors.Join(os.Remove(filepath.Join(dir, "d/place")), rename(root, "d/tmp", "d/place")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		holds("d/place", "restored")
		put("tmp", "top")
		if err := rename(root, "tmp", "place"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		holds("place", "top")
	}
}
