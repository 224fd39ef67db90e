package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) authorizationCommand() *cobra.Command {
	var length string
	override := a.command("override --for DUR", "Have the functions on without the card, for a time", "override the authorization", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			seconds, err := parseEvery(length)
			if err != nil {
				return usagef("--for wants how long: a number of seconds, minutes, hours or days such as 30m, 24h, 7d")
			}
			return a.authorization(ctx, func(c *busapi.DeviceClient) (busapi.AuthorizationInfo, error) {
				return c.OverrideAuthorization(ctx, busapi.AuthorizationOverride{Seconds: seconds})
			})
		})
	override.Flags().StringVar(&length, "for", "", "how long: 30m, 24h, 7d at most")
	cmd := a.command("authorization", "Show what the card keeps on, why, and until when", "show the authorization", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
				i, err := c.Authorization(ctx)
				if err != nil {
					return err
				}
				return a.print(i, func(p *printer) { a.showAuthorization(p, i) })
			})
		})
	cmd.AddCommand(override, a.command("resume", "Take an override back", "take the override back", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return a.authorization(ctx, func(c *busapi.DeviceClient) (busapi.AuthorizationInfo, error) { return c.ResumeAuthorization(ctx) })
		}))
	return cmd
}

// authorization changes it and shows what holds then.
func (a *app) authorization(ctx context.Context, change func(*busapi.DeviceClient) (busapi.AuthorizationInfo, error)) error {
	return a.withDevice(ctx, func(c *busapi.DeviceClient) error {
		i, err := change(c)
		if err != nil {
			return err
		}
		return a.say(i, func(p *printer) { a.showAuthorization(p, i) })
	})
}

func (a *app) showAuthorization(p *printer, i busapi.AuthorizationInfo) {
	p.row("Card", a.authorizationLine(p, i))
	if i.State == "off" {
		return
	}
	for _, f := range i.Functions {
		p.row(functionName(f.Function), functionState(p, f))
	}
	p.row("Last proof", a.since(i.LastProof))
	p.row("Heartbeat", fmt.Sprintf("every %s, grace %s", seconds(i.Heartbeat), seconds(i.Grace)))
}

// authorizationLine is what the status says of it.
func (a *app) authorizationLine(p *printer, i busapi.AuthorizationInfo) string {
	left := lasting(i.Expires - a.now().Unix())
	why := reasonText(i.Reason)
	switch i.State {
	case "off":
		return "governs nothing"
	case "enabled":
		return p.paint(green, "authorizes this device")
	case "expiring":
		return p.paint(yellow, fmt.Sprintf("%s; functions go off in %s", why, left))
	case "override":
		return p.paint(yellow, fmt.Sprintf("%s; an administrator has the functions on for %s", why, left))
	}
	return p.paint(red, why+"; functions are off")
}

// reasonText puts a reason into words; one of a newer daemon stands for itself.
func reasonText(reason string) string {
	text, known := map[string]string{
		"proven":           "the card has proven to be the owner's",
		"boot":             "no card has proven anything since the boot",
		"card-out":         "the card is not in the reader",
		"other-card":       "another card is in the reader",
		"unproven":         "what is in the reader has the card's data and is not the card",
		"no-record":        "nothing was saved yet, so no card holds an authorization",
		"no-answer":        "the reader does not answer",
		"out-of-range":     "the reader is out of range",
		"reader-restarted": "the reader was started anew",
		"daemon-restarted": "reprovisiond was started anew",
		"unpaired":         "there is no reader",
		"suspend":          "the device has slept",
		"clock-changed":    "the clock was set",
	}[reason]
	if !known {
		return printable(reason)
	}
	return text
}

func functionName(function string) string {
	name, known := map[string]string{"units": "Units", "sessions": "Screens"}[function]
	if !known {
		return printable(function)
	}
	return name
}

func functionState(p *printer, f busapi.FunctionInfo) string {
	text := map[string]string{"enabled": "on", "disabled": "off", "switching": "just being switched", "failed": "cannot be switched"}[f.State]
	switch {
	case text == "":
		text = printable(f.State)
	case f.Function == "sessions" && f.State == "disabled":
		text = "locked"
	case f.Function == "sessions" && f.State == "enabled":
		text = "may be unlocked"
	}
	if f.Error != "" {
		text += ": " + printable(f.Error)
	}
	if f.State != "enabled" {
		return p.paint(red, text)
	}
	return p.paint(green, text)
}

// seconds writes a short time: "10 s", "0.5 s".
func seconds(s float64) string {
	return fmt.Sprintf("%g s", time.Duration(s*float64(time.Second)).Round(time.Millisecond).Seconds())
}
