package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// bothStatus is the answer of status: the device's fields at the top, absent
// where reprovisiond does not run, and the reader's below where scrd does.
type bothStatus struct {
	*busapi.DeviceStatus
	Reader *busapi.ReaderStatus `json:"reader_daemon,omitempty"`
}

func (a *app) statusCommand() *cobra.Command {
	return a.command("status", "Show the device, its reader, and what would be lost now", "get the status", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			both, err := a.bothStatus(ctx)
			if err != nil {
				return err
			}
			return a.print(both, func(p *printer) {
				if both.DeviceStatus != nil {
					a.showDevice(p, *both.DeviceStatus)
				}
				if both.Reader != nil {
					a.showReader(p, *both.Reader)
				}
			})
		})
}

// bothStatus asks whichever daemon runs; neither is started for it.
func (a *app) bothStatus(ctx context.Context) (both bothStatus, err error) {
	a.side = sideDevice
	device, deviceErr := busapi.DialDevice(ctx, a.env, false)
	if deviceErr == nil {
		defer device.Close()
		st, err := device.Status(ctx)
		if err != nil {
			return both, err
		}
		both.DeviceStatus = &st
	}
	if both.Reader, err = a.readerStatus(ctx); err == nil {
		return both, nil
	}
	if deviceErr != nil {
		return both, deviceErr
	}
	if !errors.Is(err, busapi.ErrNotRunning) {
		a.note("cannot ask the reader's daemon: %s", printable(err.Error()))
	}
	return both, nil
}

func (a *app) readerStatus(ctx context.Context) (*busapi.ReaderStatus, error) {
	reader, err := busapi.DialReader(ctx, a.env, false)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	st, err := reader.Status(ctx)
	return &st, err
}

func (a *app) showDevice(p *printer, s busapi.DeviceStatus) {
	p.row("Device", printable(s.Name))
	p.row("Reader", a.readerLine(p, s))
	if s.Paired && !s.InRange && s.LinkError != "" {
		p.row("Link", printable(s.LinkError))
	}
	p.row("Backup", lastBackup(s))
	if s.AutoBackup != nil {
		a.showAutoBackupStatus(p, *s.AutoBackup)
	}
	if s.Authorization != nil && s.Authorization.State != "off" {
		p.row("Authorization", a.authorizationLine(p, *s.Authorization))
	}
	p.row("At risk", atRisk(p, s))
	p.row("Damage", damage(p, s))
	if s.ReaderDamage > 0 {
		p.row("At the reader", p.paint(red, count(s.ReaderDamage, "damaged blob")+", sent again by the next backup"))
	}
	if s.Verified != nil {
		p.row("Verified", a.verifiedLine(p, *s.Verified))
	}
	if s.Card != nil {
		p.row("Card", cardLine(p, *s.Card))
	}
	if s.Paired && s.LastBackup > 0 {
		p.row("Passcode", passcode(p, s))
	}
	p.row("Activity", printable(s.Activity))
	if s.KeysPending != 0 {
		p.row("Keys", p.paint(red, "the reader was to change them "+a.since(s.KeysPending)+": what opened the data before opens them still"))
	}
	if s.Interrupted {
		p.row("Restore", p.paint(yellow, "was cut short, and goes on when it can"))
	}
	if s.Waiting != "" {
		p.row("Waiting", p.paint(yellow, printable(s.Waiting)))
	}
	for _, q := range s.Questions {
		p.row("Question", p.paint(yellow, questionLine(q)))
	}
}

// questionLine is what an open question is about, and who has it for how long.
func questionLine(q busapi.QuestionInfo) string {
	what, known := map[string]string{
		busapi.QuestionPairingPasscode: "the passcode that the reader shows",
		busapi.QuestionCardPIN:         "the PIN of the card",
		busapi.QuestionPasscode:        "the passcode of earlier data",
		busapi.QuestionNewPasscode:     "a new passcode",
		busapi.QuestionReprovision:     "whether to restore",
		busapi.QuestionAutoBackup:      "when to back up",
		busapi.QuestionPairing:         "a reader to pair with",
	}[q.Kind]
	if !known {
		what = printable(q.Kind)
	}
	if q.Agent {
		return what + ", asked by an agent; open for " + lasting(q.Waited)
	}
	return what + ", and nobody is there to ask (scrctl agent); open for " + lasting(q.Waited)
}

func (a *app) verifiedLine(p *printer, v busapi.VerifyResult) string {
	line := fmt.Sprintf("%s, %d of %s, %s match", a.since(v.Time), v.Blobs, count(v.Of, "blob"), count(v.Items, "item"))
	if len(v.Failed) > 0 {
		line += p.paint(red, fmt.Sprintf(", %d do not", len(v.Failed)))
	}
	return line
}

func (a *app) readerLine(p *printer, s busapi.DeviceStatus) string {
	if !s.Paired {
		return p.paint(yellow, "not paired")
	}
	name := "paired"
	if s.Reader != nil {
		name = peerName(*s.Reader)
	}
	return name + ", " + inRange(p, s.InRange)
}

func peerName(r busapi.PeerInfo) string {
	if r.Address == "" {
		return printable(r.Name)
	}
	return fmt.Sprintf("%s (%s)", printable(r.Name), printable(r.Address))
}

func inRange(p *printer, yes bool) string {
	if yes {
		return p.paint(green, "in range")
	}
	return p.paint(yellow, "out of range")
}

func lastBackup(s busapi.DeviceStatus) string {
	if s.LastBackup == 0 {
		return "never"
	}
	return fmt.Sprintf("%s, snapshot %s", age(time.Duration(s.LastBackupAge)*time.Second), printable(s.LastSnapshot))
}

func passcode(p *printer, s busapi.DeviceStatus) string {
	set := "set"
	if s.CardPIN {
		set = "the card's PIN"
	}
	switch {
	case !s.Passcode && !s.CardPIN:
		return p.paint(yellow, "none: whoever has the reader has the data")
	case !s.RecoveryCode:
		return p.paint(yellow, set+", without a recovery code")
	}
	return set + ", with a recovery code"
}

func atRisk(p *printer, s busapi.DeviceStatus) string {
	if s.WouldLoseItems == 0 {
		return "nothing"
	}
	return p.paint(yellow, fmt.Sprintf("%s, %s not saved yet", count(s.WouldLoseItems, "item"), size(s.WouldLoseBytes)))
}

func damage(p *printer, s busapi.DeviceStatus) string {
	if s.Damaged == 0 {
		return "none"
	}
	return p.paint(red, fmt.Sprintf("%s (%d erased, %d corrupted)",
		count(s.Damaged, "item"), s.Counts["erased"], s.Counts["corrupted"]))
}

func (a *app) showReader(p *printer, s busapi.ReaderStatus) {
	p.row("Reader here", peerName(busapi.PeerInfo{Name: s.Name, Address: s.Address}))
	if s.LinkError != "" {
		p.row("Link", p.paint(red, printable(s.LinkError)))
	}
	if s.PairingOpen {
		p.row("Pairing", p.paint(yellow, "open for "+untilSeconds(s.PairingUntil-a.now().Unix())))
	}
	p.row("Card", cardLine(p, s.Card))
	p.row("Store", fmt.Sprintf("%s of %s", size(s.Stored), count(s.Vaults, "vault")))
	p.row("Scrubbed", a.scrubLine(s))
	for _, d := range s.Damage {
		p.row("Damaged", p.paint(red, damagedBlob(s, d)))
	}
	if more := s.DamagedBlobs - int64(len(s.Damage)); more > 0 {
		p.row("Damaged", p.paint(red, count(more, "more blob")))
	}
	p.row("Devices", count(int64(len(s.Devices)), "device"))
	for _, d := range s.Devices {
		p.row("", fmt.Sprintf("%s, %s%s", printable(d.Name), inRange(p, d.InRange), usageText(d)))
	}
	for _, o := range s.Overdue {
		p.row("Backup", p.paint(red, fmt.Sprintf("OVERDUE for %s: %s backs up every %s", lasting(o.Late), printable(o.Name), span(o.Every))))
	}
}

func (a *app) scrubLine(s busapi.ReaderStatus) string {
	if s.Scrubbing {
		return a.since(s.LastScrub) + ", and just now under way"
	}
	return a.since(s.LastScrub)
}

func damagedBlob(s busapi.ReaderStatus, d busapi.BlobDamage) string {
	owner := printable(d.Device)
	for _, p := range s.Devices {
		if p.ID == d.Device {
			owner = printable(p.Name)
		}
	}
	next := "of old snapshots only"
	if d.Newest {
		next = "the device sends it again"
	}
	return fmt.Sprintf("blob %s of %s, in %s: %s", printable(d.Blob), owner, count(d.Snapshots, "snapshot"), next)
}

// usageText is what a device has in the store, to be put behind its name.
func usageText(d busapi.PeerInfo) string {
	if d.Usage == nil {
		return ""
	}
	return fmt.Sprintf(", %s of %s", size(d.Usage.Used), size(d.Usage.Quota))
}

func untilSeconds(left int64) string { return fmt.Sprintf("%d s more", max(left, 0)) }
