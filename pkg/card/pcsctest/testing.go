package pcsctest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// RequireEnv set to 1 makes Main fail rather than skip where no pcscd can run.
const RequireEnv = "REPROVISION_REQUIRE_PCSC"

// Main runs a test binary with a pcscd of its own: TestMain passes it m.Run and
// exits with what it returns. The daemon is given to use before the tests run;
// where none can be started, use gets nil and the reason, and the tests skip
// themselves, unless RequireEnv is 1: then nothing runs and the result is 1.
func Main(use func(*Daemon, error), run func() int) int {
	dir, err := os.MkdirTemp("", "pcsc")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	d, err := Start(context.Background(), filepath.Join(dir, "pcscd.comm"), dir)
	if err != nil {
		if os.Getenv(RequireEnv) == "1" {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		use(nil, err)
		return run()
	}
	defer d.Stop()
	if err := os.Setenv(SocketEnv, d.Socket()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(d, nil)
	return run()
}
