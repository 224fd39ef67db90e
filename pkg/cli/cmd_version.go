package cli

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source; empty when not known
	Go       string `json:"go"`
}

func (a *app) versionCommand() *cobra.Command {
	return a.command("version", "Print the version", "print the version", cobra.NoArgs,
		func(context.Context, []string) error {
			v := version()
			return a.print(v, func(p *printer) { p.line("scrctl %s", v.Version) })
		})
}

// version reads what the Go tool wrote into the binary.
func version() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
