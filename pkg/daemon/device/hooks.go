package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// maxHookOutput is how much of a hook's output reaches the log, in bytes.
const maxHookOutput = 4096

// runHooks makes the system take up what was restored of a class, for example
// by "nmcli connection reload". A hook that fails does not keep the others from
// running.
func (d *Daemon) runHooks(ctx context.Context, c userdata.Class) error {
	var failed []error
	for _, h := range d.cfg.Hooks {
		if h.Class == string(c) {
			failed = append(failed, d.runHook(ctx, h))
		}
	}
	return errors.Join(failed...)
}

func (d *Daemon) runHook(ctx context.Context, h config.Hook) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout.Duration)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...) // #nosec G204 -- the owner's settings file names the program
	cmd.Stdout = limitWriter{&out}
	cmd.Stderr = cmd.Stdout
	cmd.WaitDelay = h.Timeout.Duration
	err := cmd.Run()
	said := userdata.Printable(strings.TrimSpace(out.String()))
	d.log.Info("hook ran", "class", h.Class, "command", h.Command[0], "error", err, "output", said)
	if err != nil {
		return fmt.Errorf("hook %s: %w: %s", h.Command[0], err, said)
	}
	return nil
}

// limitWriter takes the first maxHookOutput bytes and lets the rest go.
type limitWriter struct{ to *bytes.Buffer }

func (l limitWriter) Write(p []byte) (int, error) {
	room := max(0, maxHookOutput-l.to.Len())
	if _, err := io.Copy(l.to, bytes.NewReader(p[:min(room, len(p))])); err != nil {
		return 0, err
	}
	return len(p), nil
}
