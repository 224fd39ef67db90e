// Package bustest starts a real dbus-daemon for a test, with its socket in a
// directory of its own, and stops it when the test ends. For the side that a
// test does not look at it has recording backends, Device and Reader, and runs
// the daemons' objects with them. Only tests import it.
package bustest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Open lets every user connect, own and send whatever they want, so that tests
// can play strangers.
const Open = `<policy context="default">
  <allow user="*"/><allow own="*"/>
  <allow send_type="method_call"/><allow send_type="method_return"/><allow send_type="error"/>
  <allow send_type="signal"/><allow receive_type="method_call"/><allow receive_type="method_return"/>
  <allow receive_type="error"/><allow receive_type="signal"/><allow eavesdrop="true"/>
</policy>`

// System has the defaults of the system bus: nobody owns a name and nobody is
// called unless a policy says so.
const System = `<policy context="default">
  <allow user="*"/><deny own="*"/><deny send_type="method_call"/>
  <allow send_type="signal"/>
  <allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/>
  <allow receive_type="method_call"/><allow receive_type="method_return"/>
  <allow receive_type="error"/><allow receive_type="signal"/>
  <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
</policy>`

// Bus is a running dbus-daemon.
type Bus struct {
	Address string // for DBUS_SYSTEM_BUS_ADDRESS
	Dir     string // everyone may enter it
}

// Start runs a bus with the Open policy. It skips the test where dbus-daemon
// is not installed, unless REPROVISION_REQUIRE_DBUS is set.
func Start(t testing.TB) *Bus {
	t.Helper()
	return StartWith(t, Open)
}

// StartWith runs a bus whose configuration holds the given elements, policies
// and includes; the word @DIR@ in them is the bus's directory.
func StartWith(t testing.TB, elements string) *Bus {
	t.Helper()
	program := find(t)
	// The socket's path must be short, and other users must get to it.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "bus.conf")
	text := fmt.Sprintf("<busconfig><type>system</type><listen>unix:path=%s/socket</listen><auth>EXTERNAL</auth>%s</busconfig>",
		dir, strings.ReplaceAll(elements, "@DIR@", dir))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return &Bus{Address: run(t, program, config), Dir: dir}
}

func find(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil && os.Getenv("REPROVISION_REQUIRE_DBUS") != "" {
		t.Fatal("dbus-daemon is not installed, and REPROVISION_REQUIRE_DBUS is set")
	}
	if err != nil {
		t.Skip("dbus-daemon is not installed")
	}
	return program
}

// run starts the daemon and waits for the line with its address.
func run(t testing.TB, program, config string) string {
	t.Helper()
	cmd := exec.Command(program, "--nofork", "--nopidfile", "--nosyslog", "--print-address=1", "--config-file="+config)
	// Held back: without the right to raise limits the daemon always complains.
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed: its status says nothing
	})
	timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("dbus-daemon did not say its address: %v: %s", err, complaints.String())
	}
	return strings.TrimSpace(line)
}

// Env is an environment in which both daemons are on this bus.
func (b *Bus) Env(name string) string {
	if name == "DBUS_SYSTEM_BUS_ADDRESS" {
		return b.Address
	}
	return ""
}
