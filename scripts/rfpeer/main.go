// Command rfpeer is a phone that a reader should be rid of: it finds the
// project's service at a reader over Bluetooth, connects, and misbehaves.
//
//	rfpeer [-adapter NAME] [-bond] [-patience TIME] garbage|silent|unpaired ADDRESS
//
//	silent    connects and says nothing
//	garbage   sends noise, as much as is taken
//	unpaired  shakes hands as a device does, with a key that nobody knows
//
// It speaks to the kernel alone, not to BlueZ's daemon: a bluetoothd that it
// shared with the reader would tell a second phone's profile from the first's by
// nothing. With -bond it asks for a bond, which a reader grants in its window.
//
// It prints what became of it in one line. It ends with 0 when the reader was
// there and got rid of it, and with 1 when nobody was there or when it still had
// a connection after its patience.
//
// The tests in virtual machines run it; nothing imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

var errUsage = errors.New("usage: rfpeer [-adapter NAME] [-bond] [-patience TIME] garbage|silent|unpaired ADDRESS")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rfpeer:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("rfpeer", flag.ContinueOnError)
	adapter := flags.String("adapter", "hci2", "the kernel's `name` of the adapter to use")
	bond := flags.Bool("bond", false, "ask for a bond")
	patience := flags.Duration("patience", time.Minute, "how long to bear with the reader")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errUsage
	}
	misbehave, known := manners()[flags.Arg(0)]
	peer, err := parseAddress(flags.Arg(1))
	if !known || err != nil {
		return errors.Join(errUsage, err)
	}
	local, err := adapterAddress(*adapter)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *patience)
	defer cancel()
	began := time.Now()
	said, err := misbehave(ctx, phone{local: local, peer: peer, bond: *bond})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s, after %.1f s\n", said, time.Since(began).Seconds())
	return err
}
