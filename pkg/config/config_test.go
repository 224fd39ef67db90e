package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/config"
	"github.com/reprovision/reprovision/pkg/userdata"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadDevice(t *testing.T) {
	d, err := config.LoadDevice(write(t, `
name = "pocket"
[detect]
settle = "300ms"
[reprovision]
user-data = "restore"
[[root]]
class = "keys"
path = "/home/p/.ssh"
[[hook]]
class = "service-books"
command = ["/usr/bin/nmcli", "connection", "reload"]
`))
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "pocket" || d.Detect.Settle.Duration != 300*time.Millisecond || d.Roots[0].Name != "keys" {
		t.Errorf("read %+v", d)
	}
	if d.Reprovision.For(userdata.UserData) != config.Restore || d.Reprovision.For(userdata.Preferences) != config.Ask {
		t.Error("policies", d.Reprovision)
	}
	if d.Hooks[0].Timeout.Duration != 30*time.Second || d.StateDir != config.DeviceState {
		t.Error("defaults are not filled in")
	}
}

func TestLoadRefuses(t *testing.T) {
	for text, want := range map[string][]string{
		"nam = \"x\"":                                         {":1", "nam", "unknown key"},
		"\n[detect]\nsetle = \"1s\"":                          {":3", "detect.setle", "unknown key"},
		"[detect]\nsettle = \"soon\"":                         {":2", "settle", "not a duration"},
		"[detect]\nsettle = \"-1s\"":                          {":2", "negative"},
		"[backup]\nevery = \"10ms\"":                          {"backup.every", "not within"},
		"[backup]\nevery = \"9000h\"":                         {"backup.every", "not within"},
		"[backup]\nmode = \"some\"":                           {"backup.mode", "not one of"},
		"[authorization]\nfunctions = [\"radio\"]":            {"authorization.functions", "radio", "units, sessions"},
		"[authorization]\nfunctions = [\"units\", \"units\"]": {"authorization.functions", "twice"},
		"[authorization]\nheartbeat = \"1ms\"":                {"authorization.heartbeat", "not within"},
		"[authorization]\ngrace = \"19s\"":                    {"authorization.grace", "not within 20s"},
		"[authorization]\nrun_dir = \"run\"":                  {"authorization.run_dir", "absolute"},
		"name = ":                                             {":1"},
		"name = \"a\\u0007\"":                                 {"name", "printable"},
		"[link]\nkind = \"smoke\"":                            {"link.kind", "smoke"},
		"[link]\nadapter = \"usb0\"":                          {"link.adapter", "usb0", "hci0"},
		"state_dir = \"here\"":                                {"state_dir", "absolute"},
		"[reprovision]\nkeys = \"maybe\"":                     {"reprovision.keys", "maybe"},
		"[[root]]\nclass = \"x\"\npath = \"/a\"":              {"root", "unknown class"},
		"[[root]]\nclass=\"keys\"\npath=\"/var\"":             {"state_dir", "survive"},
		"[[hook]]\nclass=\"keys\"\ncommand=[\"a\"]":           {"hook[0].command", "absolute"},
	} {
		file := write(t, text)
		_, err := config.LoadDevice(file)
		var cerr *config.Error
		if !errors.As(err, &cerr) {
			t.Errorf("%q: error %v", text, err)
			continue
		}
		for _, part := range append(want, file) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q does not say %q", text, err, part)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than one line: %q", text, err)
		}
	}
}

func TestAuthorization(t *testing.T) {
	d, err := config.LoadDevice(write(t, ""))
	if err != nil || d.Authorization.Governing() || d.Authorization.Governs(config.FunctionUnits) {
		t.Errorf("without a word: %+v, %v", d.Authorization, err)
	}
	d, err = config.LoadDevice(write(t, "[authorization]\nfunctions = [\"sessions\"]\nheartbeat = \"1s\"\ngrace = \"2s\""))
	a := d.Authorization
	if err != nil || !a.Governing() || !a.Governs(config.FunctionSessions) || a.Governs(config.FunctionUnits) || a.Grace.Duration != 2*time.Second {
		t.Errorf("read %+v, %v", a, err)
	}
}

func TestLoadReader(t *testing.T) {
	r, err := config.LoadReader(write(t, "state_dir = \"/srv/scrd\"\n[card]\nkind = \"file\""))
	if err != nil {
		t.Fatal(err)
	}
	if r.Card.Path != "/srv/scrd/card.img" || r.Pairing.Window.Duration != 2*time.Minute {
		t.Errorf("read %+v", r)
	}
	if _, err := config.LoadReader(write(t, "[card]\nkind = \"paper\"")); err == nil {
		t.Error("an unknown kind of card is taken")
	}
}

func TestReaderDevices(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	r, err := config.LoadReader(write(t, "[store]\nquota = 5000\n[retention]\nkeep_last = 3\n[[device]]\nid = \""+id+"\"\nquota = 0\nkeep_daily = 1"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Quota("other") != 5000 || r.Quota(id) != 0 {
		t.Errorf("quotas %d and %d", r.Quota("other"), r.Quota(id))
	}
	if got := r.RetentionOf(id); got != (config.Retention{Last: 3, Daily: 1, Weekly: 8, Monthly: 12}) {
		t.Errorf("retention %+v", got)
	}
	for text, key := range map[string]string{
		"[store]\nquota = -1":                                   "store.quota",
		"[store]\nscrub_rate = 1":                               "store.scrub_rate",
		"[store]\nidle = \"0s\"":                                "store.idle",
		"[retention]\nkeep_weekly = -1":                         "retention.keep_weekly",
		"[[device]]\nid = \"phone\"":                            "device[0].id",
		"[[device]]\nid = \"" + id + "\"\nkeep_monthly = 99999": "device[0].keep_monthly",
	} {
		var cerr *config.Error
		if _, err := config.LoadReader(write(t, text)); !errors.As(err, &cerr) || cerr.Key != key {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPanel(t *testing.T) {
	r, err := config.LoadReader(write(t, "[panel]\nterminal = \"/dev/tty1\"\n[panel.oled]\nbus = \"/dev/i2c-13\"\naddress = 0x3d\n[panel.key]\ndevice = \"gpio-keys\"\ncode = 148"))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := r.Panel.OLED.BusNumber(); !ok || n != 13 || r.Panel.OLED.Address != 0x3d || r.Panel.Terminal != "/dev/tty1" || r.Panel.Key.Code != 148 {
		t.Errorf("read %+v", r.Panel)
	}
	if r.Panel.LongPress.Duration != 2*time.Second || r.Panel.GPIO != (config.PanelGPIO{Line: 17, Pull: "up"}) {
		t.Errorf("defaults %+v", r.Panel)
	}
	if n, ok := config.DefaultReader().Panel.OLED.BusNumber(); ok {
		t.Errorf("bus %d without a display", n)
	}
	for text, key := range map[string]string{
		"[panel]\nterminal = \"tty1\"":                                         "panel.terminal",
		"[panel]\nlong_press = \"1ms\"":                                        "panel.long_press",
		"[panel.oled]\nbus = \"/dev/i2c-\"":                                    "panel.oled.bus",
		"[panel.oled]\nbus = \"1\"":                                            "panel.oled.bus",
		"[panel.oled]\naddress = 0x78":                                         "panel.oled.address",
		"[panel.oled]\noff_after = \"25h\"":                                    "panel.oled.off_after",
		"[panel.key]\ncode = 28":                                               "panel.key.device",
		"[panel.key]\ndevice = \"gpio-keys\"":                                  "panel.key.code",
		"[panel.key]\ndevice = \"x\"\ncode = 768":                              "panel.key.code",
		"[panel.key]\ncode = 1\ndevice = \"" + strings.Repeat("x", 256) + "\"": "panel.key.device",
		"[panel.gpio]\nchip = \"gpiochip0\"":                                   "panel.gpio.chip",
		"[panel.gpio]\nline = -1":                                              "panel.gpio.line",
		"[panel.gpio]\npull = \"left\"":                                        "panel.gpio.pull",
		"[panel.gpio]\npin = 11":                                               "panel.gpio.pin",
	} {
		var cerr *config.Error
		if _, err := config.LoadReader(write(t, text)); !errors.As(err, &cerr) || cerr.Key != key || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestNamedFileMustBeThere(t *testing.T) {
	_, err := config.LoadReader(filepath.Join(t.TempDir(), "none.toml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzLoadDevice(f *testing.F) {
	f.Add("name = \"x\"\n[[root]]\nclass = \"keys\"\npath = \"/a\"")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := config.LoadDevice(write(t, text))
		if err == nil {
			if _, err := d.Space(); err != nil {
				t.Fatalf("settings were taken whose space is bad: %v", err)
			}
		}
	})
}
