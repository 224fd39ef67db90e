package device

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/daemon/start"
)

// Main is reprovisiond. It returns the exit code.
func Main(ctx context.Context, args []string, errOut io.Writer, env func(string) string) int {
	d := start.Daemon{Name: "reprovisiond", File: config.DeviceFile, Bus: busapi.DeviceBus, Load: settings}
	return d.Main(ctx, args, errOut, env)
}

func settings(file string) (start.Settings, error) {
	cfg, err := config.LoadDevice(file)
	return start.Settings{
		LogLevel: cfg.LogLevel,
		Serve: func(ctx context.Context, bus start.Bus, log *slog.Logger) error {
			d, err := New(cfg, bus, log, time.Now)
			if err != nil {
				return err
			}
			return d.Run(ctx)
		},
	}, err
}
