package busapi

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// actionSchedule lets a caller say when the device backs up by itself.
const actionSchedule = "org.reprovision.device.schedule"

// AutoBackupSettings are what the owner says at step 514.
type AutoBackupSettings struct {
	Every int64  `json:"every"` // seconds between two backups; 0, from an agent only: there are to be none
	Mode  string `json:"mode"`  // full or incremental; empty: incremental
}

// normal fills in what was left out, and refuses what cannot be.
func (s AutoBackupSettings) normal() (AutoBackupSettings, error) {
	if s.Mode == "" {
		s.Mode = "incremental"
	}
	if s.Mode != "full" && s.Mode != "incremental" {
		return s, fmt.Errorf("%w: mode %q is neither full nor incremental", ErrInvalidArguments, cut(s.Mode, 64))
	}
	return s, nil
}

// AutoBackupInfo is how the automatic backup stands. It holds no names of items.
type AutoBackupInfo struct {
	State string `json:"state"` // unset, on or off
	By    string `json:"by"`    // who said so: owner or settings; empty while unset
	Every int64  `json:"every"` // seconds between two backups; 0 unless on
	Mode  string `json:"mode"`  // full or incremental; empty unless on
	// NextDue and OverdueSince are moments by the device's clock, seconds since the
	// epoch; 0 for none. They are reckoned anew each time: what is due goes by how much
	// time has passed, whatever that clock says.
	NextDue      int64  `json:"next_due"`
	OverdueSince int64  `json:"overdue_since"`
	LastRun      int64  `json:"last_run"`    // when the last attempt ended; 0 never
	LastResult   string `json:"last_result"` // saved, unchanged, away, unpaired, undecided, failed; empty never
	LastReason   string `json:"last_reason"`
	// Prompt is what the owner is asked for: configure (step 514), reader (bring it
	// near), pair (step 522), decide (whose data are to be kept); empty for nothing.
	Prompt string `json:"prompt"`
}

func (d *Device) callAutoBackup(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "AutoBackup", actionNone, d.backend.AutoBackup)
}

func (d *Device) callConfigureAutoBackup(sender dbus.Sender, settings Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "ConfigureAutoBackup", actionSchedule, func(ctx context.Context) (AutoBackupInfo, error) {
		var s AutoBackupSettings
		if err := serverCodec().decode(settings, &s); err != nil {
			return AutoBackupInfo{}, err
		}
		s, err := s.normal()
		if err != nil {
			return AutoBackupInfo{}, err
		}
		return d.backend.ConfigureAutoBackup(ctx, s)
	})
}

func (d *Device) callDisableAutoBackup(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "DisableAutoBackup", actionSchedule, d.backend.DisableAutoBackup)
}

// autoBackupProps are the properties of the automatic backup. Moments are not
// among them: they would change with every look.
func autoBackupProps(i *AutoBackupInfo) map[string]any {
	if i == nil {
		i = &AutoBackupInfo{State: "unset"}
	}
	return map[string]any{
		"AutoBackupState": toBus(i.State), "AutoBackupEvery": i.Every,
		"AutoBackupOverdue": i.OverdueSince != 0, "AutoBackupPrompt": toBus(i.Prompt),
	}
}

// AutoBackup asks how the automatic backup stands. It needs no authorisation.
func (c *DeviceClient) AutoBackup(ctx context.Context) (AutoBackupInfo, error) {
	return callDict[AutoBackupInfo](ctx, c.client, "AutoBackup")
}

// ConfigureAutoBackup says when the device backs up by itself (step 514).
func (c *DeviceClient) ConfigureAutoBackup(ctx context.Context, s AutoBackupSettings) (AutoBackupInfo, error) {
	return callDict[AutoBackupInfo](ctx, c.client, "ConfigureAutoBackup", clientCodec().encode(s))
}

// DisableAutoBackup says that the device is not to back up by itself (step 514).
func (c *DeviceClient) DisableAutoBackup(ctx context.Context) (AutoBackupInfo, error) {
	return callDict[AutoBackupInfo](ctx, c.client, "DisableAutoBackup")
}
