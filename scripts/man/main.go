// Command man writes the manual pages: those of scrctl, made from its command
// tree, and those of the daemons, made from their flags.
//
//	go run ./scripts/man DIR
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/reprovision/reprovision/pkg/cli"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "man: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("cannot tell where to write: want one directory")
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return fmt.Errorf("cannot make the directory: %w", err)
	}
	epoch := time.Unix(0, 0).UTC() // the same pages from the same source
	user := doc.GenManHeader{Section: "1", Source: "Reprovision", Manual: "Reprovision", Date: &epoch}
	if err := doc.GenManTree(cli.Command(), &user, args[0]); err != nil {
		return fmt.Errorf("cannot write the pages of scrctl: %w", err)
	}
	for _, d := range daemons() {
		admin := user
		admin.Section = "8"
		if err := doc.GenManTree(d, &admin, args[0]); err != nil {
			return fmt.Errorf("cannot write the page of %s: %w", d.Name(), err)
		}
	}
	return nil
}

func daemons() []*cobra.Command {
	device := &cobra.Command{
		Use: "reprovisiond", Short: "Keep the user data of this device recoverable",
		Long: `Watches the user-data space, backs it up to the paired smart card reader, notices
what was erased or corrupted, and gets it back. It is started by systemd and
driven by scrctl(1) or over D-Bus.`,
		Run: func(*cobra.Command, []string) {},
	}
	device.Flags().String("config", "/etc/reprovision/reprovisiond.toml", "settings `file`")
	reader := &cobra.Command{
		Use: "scrd", Short: "Keep devices' sealed backups in this smart card reader",
		Long: `Pairs with devices by address and passcode, keeps what they send in its store and
on the smart card, and hands it out to whom the owner allows. It is started by
systemd and driven by scrctl(1) or over D-Bus.`,
		Run: func(*cobra.Command, []string) {},
	}
	reader.Flags().String("config", "/etc/reprovision/scrd.toml", "settings `file`")
	for _, d := range []*cobra.Command{device, reader} {
		d.DisableAutoGenTag = true
	}
	return []*cobra.Command{device, reader}
}
