// Command reprovisiond is the device's reprovisioning service: it watches the
// user-data space, backs it up to the paired reader, and gets it back.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/reprovision/reprovision/pkg/daemon/device"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return device.Main(ctx, os.Args[1:], os.Stderr, os.Getenv)
}
