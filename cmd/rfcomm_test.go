package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// overRFCOMM is a run over Bluetooth, on the bus of the machine and with three
// of its adapters: hci0 is the device's, hci1 the reader's, hci2 a stranger's.
// scripts/vm has such a machine; testdata/vm/one runs this there.
func overRFCOMM(t *testing.T, dir string) stories {
	t.Helper()
	if os.Getenv("REPROVISION_LINK") != "rfcomm" {
		t.Skip("REPROVISION_LINK is not rfcomm")
	}
	return stories{dir: dir, card: "file", link: "rfcomm", slow: 3, vars: map[string]string{
		"BIG": "250000", "HUGE": "2500000", "MANY": "80", "REPROVISION_PATIENCE": "60",
	}}
}

// TestStoriesOverRFCOMM tells those of the local link.
func TestStoriesOverRFCOMM(t *testing.T) { overRFCOMM(t, storyDir).tell(t) }

// TestBluetoothStories tells those that there are only with Bluetooth.
func TestBluetoothStories(t *testing.T) { overRFCOMM(t, "testdata/script/bluetooth").tell(t) }

// inTurn has stories told one after another: there is one radio.
type inTurn struct{ *testing.T }

// Parallel implements testscript.T.
func (inTurn) Parallel() {}

// Run implements testscript.T. Whatever a story has done to the radio is undone
// before the next.
func (t inTurn) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) {
		if out, err := exec.Command(filepath.Join(repo, "testdata", "bin", "radio"), "reset").CombinedOutput(); err != nil {
			t.Fatalf("cannot make the radio work: %v\n%s", err, out)
		}
		f(inTurn{t})
	})
}

// Verbose implements testscript.T.
func (inTurn) Verbose() bool { return testing.Verbose() }
