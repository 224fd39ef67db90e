package reprovision

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/reprovision/reprovision/pkg/scan"
)

// TestUnchanged: what lies there is what was judged if the file system says so, or if it has
// the same size, time and mode and the same contents: FAT gives a file another inode once it
// was out of memory, and a file's change time moves with its other names.
func TestUnchanged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("as judged"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	info, err := root.Lstat("f")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		judged   func(*scan.Observation)
		contents string
		want     error
	}{
		"as it was":                            {func(*scan.Observation) {}, "not read", nil},
		"another change time":                  {func(o *scan.Observation) { o.CTime-- }, "as judged", nil},
		"another inode":                        {func(o *scan.Observation) { o.Ino++ }, "as judged", nil},
		"another device":                       {func(o *scan.Observation) { o.Dev++ }, "as judged", nil},
		"another inode and other contents":     {func(o *scan.Observation) { o.Ino++ }, "an edit!!", ErrChangedSince},
		"another change time, other contents":  {func(o *scan.Observation) { o.CTime-- }, "an edit!!", ErrChangedSince},
		"another size":                         {func(o *scan.Observation) { o.Size++ }, "as judged", ErrChangedSince},
		"another modification time":            {func(o *scan.Observation) { o.MTime-- }, "as judged", ErrChangedSince},
		"another mode":                         {func(o *scan.Observation) { o.Mode ^= 0o100 }, "as judged", ErrChangedSince},
		"a directory of another inode instead": {func(o *scan.Observation) { o.Ino++; o.Mode ^= 0o40000 }, "as judged", ErrChangedSince},
	} {
		a := Action{Known: true, Before: observe(info), Contents: sha256.Sum256([]byte(c.contents))}
		c.judged(&a.Before)
		if err := unchanged(root, "f", info, a); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
