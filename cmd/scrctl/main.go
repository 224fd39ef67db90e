// Command scrctl is the command-line client of both daemons.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/reprovision/reprovision/pkg/cli"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return cli.Main(ctx, os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Getenv)
}
