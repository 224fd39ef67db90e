package cardtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SkipsEnv names a file that collects what was skipped and why, a line each, so that
// whoever runs all tests can print it: go test itself keeps it to itself.
const SkipsEnv = "REPROVISION_SKIPS"

// Skip skips a test for the want of something that others wrote, or for a defect of
// that, and says so where SkipsEnv asks for it.
func Skip(t *testing.T, reason string) {
	t.Helper()
	if name := os.Getenv(SkipsEnv); name != "" {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(f, "%s: %s\n", t.Name(), reason)
			_ = f.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
	t.Skip(reason)
}

// ViccModules is the PYTHONPATH of vicc, the card of vsmartcard: Debian has its modules
// where Python does not look, and PyCryptodome under a name that they do not use. It
// skips the test where that is missing.
func ViccModules(t *testing.T) string {
	t.Helper()
	if err := exec.Command("/usr/bin/python3", "-c", "import Cryptodome").Run(); err != nil {
		Skip(t, "vicc needs python3-pycryptodome: "+err.Error())
	}
	dir := t.TempDir()
	err := os.Mkdir(filepath.Join(dir, "Crypto"), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "Crypto", "__init__.py"), []byte("import Cryptodome\n__path__ = Cryptodome.__path__\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir + ":/usr/lib/python3/site-packages/virtualsmartcard"
}
