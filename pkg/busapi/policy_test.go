package busapi_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	busfiles "github.com/reprovision/reprovision/dbus"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// systemBus is a bus with the defaults of the system bus and our two policies.
func systemBus(t *testing.T) *bustest.Bus {
	t.Helper()
	elements := bustest.System
	for _, name := range []string{"Device", "Reader"} {
		file, err := filepath.Abs("../../dbus/org.reprovision." + name + ".conf")
		if err != nil {
			t.Fatal(err)
		}
		elements += "<include>" + file + "</include>"
	}
	return bustest.StartWith(t, elements)
}

func TestBusPolicy(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may own the names")
	}
	bus := systemBus(t)
	device, _ := bus.ServeDevice(t, &bustest.Device{DeviceValues: deviceValues()})
	bus.ServeReader(t, &bustest.Reader{})
	want := map[string]string{
		"Status": "done", "Reader.Status": "done", "Check": "NotAllowed", "Odd": "NotAllowed", "Own": "NotAllowed",
	}
	if diff := cmp.Diff(want, asStranger(t, bus, slices.Collect(maps.Keys(want))...)); diff != "" {
		t.Error(diff)
	}
	// The daemon, as root, may call an agent.
	serveOwner(t, dialDevice(t, bus), says("1", nil))
	if code, err := device.Prompter().PairingPasscode(t.Context(), "pi", false); err != nil || code != "1" {
		t.Errorf("the agent gave %q, %v", code, err)
	}
}

func TestOnlyRootOwnsTheNames(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may own the names")
	}
	d := busapi.NewDevice(systemBus(t).Connect(t), &bustest.Device{}, bustest.Quiet())
	if err := d.Run(t.Context()); !errors.Is(err, busapi.ErrNotAllowed) {
		t.Errorf("got %v", err)
	}
}

// Each action that the daemons ask about is one of the policy file, and none is
// left over.
func TestPolkitPolicy(t *testing.T) {
	text, err := fs.ReadFile(busfiles.Files, "org.reprovision.policy")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Actions []struct {
			ID       string `xml:"id,attr"`
			Message  string `xml:"message"`
			Defaults struct {
				Any    string `xml:"allow_any"`
				Active string `xml:"allow_active"`
			} `xml:"defaults"`
		} `xml:"action"`
	}
	if err := xml.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	unused := make(map[string]bool)
	for _, a := range policy.Actions {
		unused[a.ID] = true
		if a.Message == "" || a.Defaults.Any != "auth_admin_keep" || a.Defaults.Active == "" {
			t.Errorf("%s is not complete: %+v", a.ID, a)
		}
	}
	for method, action := range guarded() {
		id := "org.reprovision." + action
		if _, ok := unused[id]; !ok {
			t.Errorf("%s needs %s, which the policy lacks", method, id)
		}
		unused[id] = false
	}
	for id, is := range unused {
		if is {
			t.Errorf("nothing needs %s", id)
		}
	}
}

func TestActivationFiles(t *testing.T) {
	for name, unit := range map[string]string{busapi.DeviceName: "reprovisiond", busapi.ReaderName: "scrd"} {
		text, err := fs.ReadFile(busfiles.Files, name+".service")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"[D-BUS Service]", "Name=" + name, fmt.Sprintf("SystemdService=%s.service", unit)} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%s lacks %q", name, line)
			}
		}
	}
}

// Each interface has its page, and the page names each member.
func TestEveryMemberIsDocumented(t *testing.T) {
	for _, iface := range []string{
		busfiles.DeviceInterface, busfiles.ReaderInterface, busfiles.SnapshotInterface, busfiles.PeerInterface, busfiles.AgentInterface,
	} {
		page, err := os.ReadFile(filepath.Join("..", "..", "dbus", "doc", iface+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		i := described(t, iface)
		var names []string
		for _, m := range i.Methods {
			names = append(names, m.Name)
		}
		for _, s := range i.Signals {
			names = append(names, s.Name)
		}
		for _, p := range i.Properties {
			names = append(names, p.Name)
		}
		for _, name := range names {
			if !strings.Contains(string(page), "### ") || !strings.Contains(string(page), name) {
				t.Errorf("the page of %s says nothing of %s", iface, name)
			}
		}
	}
}
