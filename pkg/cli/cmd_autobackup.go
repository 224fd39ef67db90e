package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) autobackupCommand() *cobra.Command {
	var every, mode string
	configure := a.command("configure --every DUR", "Back up by itself, this long after the last backup", "configure the automatic backup", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			seconds, err := parseEvery(every)
			if err != nil {
				return err
			}
			s := busapi.AutoBackupSettings{Every: seconds, Mode: mode}
			return a.autobackup(ctx, func(c *busapi.DeviceClient) (busapi.AutoBackupInfo, error) { return c.ConfigureAutoBackup(ctx, s) })
		})
	configure.Flags().StringVar(&every, "every", "", "the time between two backups: 30m, 24h, 7d")
	configure.Flags().StringVar(&mode, "mode", "incremental", "what is sent: full or incremental")
	return a.group("autobackup", "Say when the device backs up by itself",
		configure,
		a.command("disable", "Never back up by itself", "disable the automatic backup", cobra.NoArgs,
			func(ctx context.Context, _ []string) error {
				return a.autobackup(ctx, func(c *busapi.DeviceClient) (busapi.AutoBackupInfo, error) { return c.DisableAutoBackup(ctx) })
			}),
		a.command("show", "Show what was said, and what came of it", "show the automatic backup", cobra.NoArgs,
			func(ctx context.Context, _ []string) error {
				return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
					i, err := c.AutoBackup(ctx)
					if err != nil {
						return err
					}
					return a.print(i, func(p *printer) { a.showAutoBackup(p, i) })
				})
			}),
	)
}

// autobackup changes the settings and shows what holds then.
func (a *app) autobackup(ctx context.Context, change func(*busapi.DeviceClient) (busapi.AutoBackupInfo, error)) error {
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		i, err := change(c)
		if err != nil {
			return err
		}
		return a.say(i, func(p *printer) { a.showAutoBackup(p, i) })
	})
}

// parseEvery reads a time of whole seconds, in Go's notation or in days: "36h", "7d".
func parseEvery(text string) (seconds int64, err error) {
	if text == "" {
		return 0, usagef("the time between two backups is missing: --every 24h")
	}
	d, err := time.ParseDuration(text)
	if number, isDays := strings.CutSuffix(text, "d"); isDays {
		var days uint16
		if n, derr := strconv.ParseUint(number, 10, 16); derr == nil {
			days, err = uint16(n), nil
		}
		d = time.Duration(days) * 24 * time.Hour
	}
	if err != nil || d < time.Second || d%time.Second != 0 {
		return 0, usagef("%q is not a time between two backups: a number of seconds, minutes, hours or days such as 30m, 24h, 7d", printable(text))
	}
	return int64(d / time.Second), nil
}

// span writes a time between two backups: "24 h", "7 days".
func span(seconds int64) string {
	const day, hour, minute = 24 * 3600, 3600, 60
	switch {
	case seconds%day == 0 && seconds > day:
		return count(seconds/day, "day")
	case seconds%hour == 0:
		return fmt.Sprintf("%d h", seconds/hour)
	case seconds%minute == 0:
		return fmt.Sprintf("%d min", seconds/minute)
	}
	return fmt.Sprintf("%d s", seconds)
}

// lasting writes how long something has been so, or will yet be: "3 days".
func lasting(seconds int64) string {
	const day, hour, minute = 24 * 3600, 3600, 60
	switch {
	case seconds >= 2*day:
		return count(seconds/day, "day")
	case seconds >= hour:
		return fmt.Sprintf("%d h", seconds/hour)
	case seconds >= minute:
		return fmt.Sprintf("%d min", seconds/minute)
	}
	return fmt.Sprintf("%d s", max(seconds, 0))
}

func (a *app) showAutoBackup(p *printer, i busapi.AutoBackupInfo) {
	p.row("Automatic", a.autoBackupLine(p, i))
	if i.By != "" {
		p.row("Said by", map[string]string{"owner": "the owner", "settings": "the settings file"}[i.By])
	}
	if i.LastResult != "" {
		p.row("Last time", a.lastAutoBackup(i))
	}
	if ask := askedFor(i.Prompt); ask != "" {
		p.row("Wanted", p.paint(yellow, ask))
	}
}

// showAutoBackupStatus is what the status says of it.
func (a *app) showAutoBackupStatus(p *printer, i busapi.AutoBackupInfo) {
	p.row("Automatic", a.autoBackupLine(p, i))
	if i.State == "on" && i.LastResult != "" {
		p.row("", a.lastAutoBackup(i))
	}
	if ask := askedFor(i.Prompt); ask != "" {
		p.row("", p.paint(yellow, ask))
	}
}

func (a *app) autoBackupLine(p *printer, i busapi.AutoBackupInfo) string {
	switch i.State {
	case "off":
		return "off"
	case "on":
	default:
		return p.paint(yellow, "not configured")
	}
	line := fmt.Sprintf("every %s, %s; ", span(i.Every), printable(i.Mode))
	now := a.now().Unix()
	switch {
	case i.OverdueSince != 0:
		return line + p.paint(red, "OVERDUE for "+lasting(now-i.OverdueSince))
	case i.NextDue <= now:
		return line + "due now"
	}
	return line + "next in " + lasting(i.NextDue-now)
}

func (a *app) lastAutoBackup(i busapi.AutoBackupInfo) string {
	words := map[string]string{
		"saved": "saved", "unchanged": "nothing had changed", "away": "the reader was not there", "unpaired": "there was no reader",
		"undecided": "waits for the owner", "failed": "failed",
	}
	line := printable(i.LastResult)
	if w, known := words[i.LastResult]; known {
		line = w
	}
	line += ", " + a.since(i.LastRun)
	if i.LastReason != "" {
		line += ": " + printable(i.LastReason)
	}
	return line
}

// askedFor is what the owner can do about a prompt.
func askedFor(prompt string) string {
	return map[string]string{
		"configure": "say when to back up: scrctl autobackup configure --every 24h, or scrctl autobackup disable",
		"reader":    "a backup is due: bring the reader near, and see that it is switched on",
		"pair":      "a backup is due, and there is no reader: press its button, then run: scrctl pair ADDRESS",
		"decide":    "say whose data to keep: scrctl reprovision --from brings the earlier device's here, scrctl backup begins anew",
	}[prompt]
}
