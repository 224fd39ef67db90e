package reader

import (
	"context"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/start"
)

// Main is scrd. It returns the exit code.
func Main(ctx context.Context, args []string, errOut io.Writer, env func(string) string) int {
	d := start.Daemon{
		Name: "scrd", File: config.ReaderFile, Bus: busapi.DeviceBus,
		Load: func(file string) (start.Settings, error) { return settings(file, env) },
	}
	return d.Main(ctx, args, errOut, env)
}

// thrift is by how many percent the heap may grow before it is collected. Blobs on their way
// into the store are all that there is much of, and each is soon gone: with Go's own 100 the
// process's peak is half as much again.
const thrift = 50

func settings(file string, env func(string) string) (start.Settings, error) {
	cfg, err := config.LoadReader(file)
	return start.Settings{
		LogLevel: cfg.LogLevel,
		Serve: func(ctx context.Context, bus start.Bus, log *slog.Logger) error {
			defer debug.SetGCPercent(debug.SetGCPercent(thrift))
			d, err := New(cfg, bus, log, time.Now, env)
			if err != nil {
				return err
			}
			return d.Run(ctx)
		},
	}, err
}
