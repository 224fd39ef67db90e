// Command scrd is the reader's reprovisioning service: it keeps backups in its store
// and on the smart card, and hands them out to whom the owner allows.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/reprovision/reprovision/pkg/daemon/reader"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return reader.Main(ctx, os.Args[1:], os.Stderr, os.Getenv)
}
