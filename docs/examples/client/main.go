// Command client is an example of a D-Bus client: client pair ADDRESS | backup |
// restore. What the device asks is answered from standard input. It uses nothing of
// this module, but the D-Bus interfaces that dbus/doc describes.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/godbus/dbus/v5"
)

const (
	name  = "org.reprovision.Device"
	iface = "org.reprovision.Device1."
	path  = dbus.ObjectPath("/example/agent")
)

// agent is org.reprovision.Agent1: it answers what our own calls make the device ask.
type agent struct {
	owner string // the device's daemon, which alone may ask
	in    *bufio.Reader
}

func (a *agent) ask(question string, sender dbus.Sender) (string, *dbus.Error) {
	if string(sender) != a.owner {
		return "", dbus.NewError("org.reprovision.Error.NotAllowed", []any{"I answer the device only"})
	}
	fmt.Fprintln(os.Stderr, question)
	line, err := a.in.ReadString('\n')
	if err != nil {
		return "", dbus.NewError("org.reprovision.Error.InputNeeded", []any{err.Error()})
	}
	return strings.TrimSpace(line), nil
}

// RequestPairingPasscode is asked during Pair.
func (a *agent) RequestPairingPasscode(details map[string]dbus.Variant, sender dbus.Sender) (string, *dbus.Error) {
	return a.ask(fmt.Sprintf("Passcode shown by %v:", details["reader"].Value()), sender)
}

// ConfirmReprovision is asked during Reprovision.
func (a *agent) ConfirmReprovision(summary map[string]dbus.Variant, sender dbus.Sender) (bool, *dbus.Error) {
	line, err := a.ask(fmt.Sprintf("Restore %v items? (y)", summary["planned"].Value()), sender)
	return line == "y", err
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	bus, err := dbus.ConnectSystemBus()
	if err != nil {
		return err
	}
	defer bus.Close() // ends what is running
	var owner string
	if err := bus.BusObject().Call("org.freedesktop.DBus.GetNameOwner", 0, name).Store(&owner); err != nil {
		return err
	}
	if err := bus.Export(&agent{owner, bufio.NewReader(os.Stdin)}, path, "org.reprovision.Agent1"); err != nil {
		return err
	}
	device := bus.Object(owner, "/org/reprovision/Device")
	if err := device.Call(iface+"RegisterAgent", 0, path).Err; err != nil {
		return err
	}
	result, options := map[string]dbus.Variant{}, map[string]dbus.Variant{}
	switch {
	case len(args) == 2 && args[0] == "pair":
		err = device.Call(iface+"Pair", 0, args[1], options).Store(&result)
	case len(args) == 1 && args[0] == "backup":
		err = device.Call(iface+"Backup", 0, options).Store(&result)
	case len(args) == 1 && args[0] == "restore":
		err = device.Call(iface+"Reprovision", 0, options).Store(&result)
	default:
		err = fmt.Errorf("usage: client pair ADDRESS | backup | restore")
	}
	for _, key := range []string{"name", "snapshot", "restored", "verified"} {
		if v, ok := result[key]; ok {
			fmt.Println(key, v.Value())
		}
	}
	return err
}
