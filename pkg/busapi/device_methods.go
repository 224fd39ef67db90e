package busapi

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// noOptions is the dictionary of a method that has none yet: any key is an error.
type noOptions struct{}

type backupOptions struct {
	Full bool `json:"full"`
}

type verifyOptions struct {
	Bytes int64 `json:"bytes"`
}

type checkOptions struct {
	Deep bool `json:"deep"`
}

// methods is the table of org.reprovision.Device1. dbus/org.reprovision.Device1.xml
// describes the same, and a test compares them.
func (d *Device) methods() map[string]any {
	table := map[string]any{
		"Status": d.callStatus, "Pair": d.callPair, "Unpair": d.callUnpair, "Backup": d.callBackup,
		"Snapshots": d.callSnapshots, "SnapshotItems": d.callSnapshotItems, "Check": d.callCheck,
		"Reprovision": d.callReprovision, "Forget": d.callForget, "SnapshotDiff": d.callSnapshotDiff, "Verify": d.callVerify,
		"AutoBackup": d.callAutoBackup, "ConfigureAutoBackup": d.callConfigureAutoBackup, "DisableAutoBackup": d.callDisableAutoBackup,
		"Authorization": d.callAuthorization, "AuthorizationOverride": d.callAuthorizationOverride, "AuthorizationResume": d.callAuthorizationResume,
		"SetPasscode": d.callSetPasscode, "ClearPasscode": d.callClearPasscode, "NewRecoveryCode": d.callNewRecoveryCode,
		"RegisterAgent": d.callRegisterAgent, "UnregisterAgent": d.callUnregisterAgent, "RequestDefaultAgent": d.callRequestDefaultAgent,
	}
	d.subscription(actionRead, table)
	return table
}

func (d *Device) callStatus(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "Status", actionNone, d.backend.Status)
}

func (d *Device) callPair(sender dbus.Sender, address string, options Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "Pair", actionPair, func(ctx context.Context) (PeerInfo, error) {
		if err := serverCodec().decode(options, &noOptions{}); err != nil {
			return PeerInfo{}, err
		}
		address, err := ParseAddress(address)
		if err != nil {
			return PeerInfo{}, err
		}
		return d.backend.Pair(ctx, address, d.prompterFor(sender))
	})
}

func (d *Device) callUnpair(sender dbus.Sender) (bool, *dbus.Error) {
	return serve(d.server, sender, "Unpair", actionPair, d.backend.Unpair)
}

func (d *Device) callBackup(sender dbus.Sender, options Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "Backup", actionBackup, func(ctx context.Context) (BackupResult, error) {
		var o backupOptions
		if err := serverCodec().decode(options, &o); err != nil {
			return BackupResult{}, err
		}
		r, err := d.backend.Backup(ctx, o.Full)
		return r.bounded(MaxAnswer), err
	})
}

func (d *Device) callSnapshots(sender dbus.Sender) ([]Dict, *dbus.Error) {
	return serveList(d.server, sender, "Snapshots", actionRead, d.snapshots)
}

func (d *Device) callSnapshotItems(sender dbus.Sender, id string, options Dict) ([]Dict, *dbus.Error) {
	return serveList(d.server, sender, "SnapshotItems", actionRead, func(ctx context.Context) ([]ItemInfo, error) {
		var o itemOptions
		if err := serverCodec().decode(options, &o); err != nil {
			return nil, err
		}
		if err := checkTexts("snapshot", id); err != nil {
			return nil, err
		}
		return d.snapshotItems(ctx, fromBus(id), o)
	})
}

func (d *Device) callSnapshotDiff(sender dbus.Sender, from, to string, options Dict) ([]Dict, *dbus.Error) {
	return serveList(d.server, sender, "SnapshotDiff", actionRead, func(ctx context.Context) ([]ItemChange, error) {
		var o itemOptions
		if err := serverCodec().decode(options, &o); err != nil {
			return nil, err
		}
		if err := checkTexts("snapshot", from, to); err != nil {
			return nil, err
		}
		return d.snapshotDiff(ctx, fromBus(from), fromBus(to), o)
	})
}

func (d *Device) callVerify(sender dbus.Sender, options Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "Verify", actionRead, func(ctx context.Context) (VerifyResult, error) {
		var o verifyOptions
		if err := serverCodec().decode(options, &o); err != nil {
			return VerifyResult{}, err
		}
		if o.Bytes < 0 {
			return VerifyResult{}, fmt.Errorf("%w: %d bytes", ErrInvalidArguments, o.Bytes)
		}
		return d.backend.Verify(ctx, o.Bytes)
	})
}

func (d *Device) callCheck(sender dbus.Sender, options Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "Check", actionRead, func(ctx context.Context) (CheckResult, error) {
		var o checkOptions
		if err := serverCodec().decode(options, &o); err != nil {
			return CheckResult{}, err
		}
		r, err := d.backend.Check(ctx, o.Deep)
		return r.bounded(MaxAnswer), err
	})
}

func (d *Device) callReprovision(sender dbus.Sender, request Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "Reprovision", actionReprovision, func(ctx context.Context) (ReprovisionResult, error) {
		var req ReprovisionRequest
		if err := serverCodec().decode(request, &req); err != nil {
			return ReprovisionResult{}, err
		}
		r, err := d.backend.Reprovision(ctx, req, d.prompterFor(sender))
		return r.bounded(MaxAnswer), err
	})
}

func (d *Device) callForget(sender dbus.Sender, paths []string) (int64, *dbus.Error) {
	return serve(d.server, sender, "Forget", actionForget, func(ctx context.Context) (int64, error) {
		if len(paths) == 0 {
			return 0, fmt.Errorf("%w: no paths are named", ErrInvalidArguments)
		}
		if err := checkTexts("path", paths...); err != nil {
			return 0, err
		}
		raw := make([]string, len(paths))
		for i, p := range paths {
			raw[i] = fromBus(p)
		}
		return d.backend.Forget(ctx, raw)
	})
}

func (d *Device) callSetPasscode(sender dbus.Sender, options Dict) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "SetPasscode", actionPasscode, func(ctx context.Context) (PasscodeResult, error) {
		var req PasscodeRequest
		if err := serverCodec().decode(options, &req); err != nil {
			return PasscodeResult{}, err
		}
		return d.backend.SetPasscode(ctx, req, d.prompterFor(sender))
	})
}

func (d *Device) callClearPasscode(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "ClearPasscode", actionPasscode, d.backend.ClearPasscode)
}

func (d *Device) callNewRecoveryCode(sender dbus.Sender) (Dict, *dbus.Error) {
	return serveDict(d.server, sender, "NewRecoveryCode", actionPasscode, d.backend.NewRecoveryCode)
}

func (d *Device) callRegisterAgent(sender dbus.Sender, path dbus.ObjectPath) *dbus.Error {
	return serveNothing(d.server, sender, "RegisterAgent", actionNone, func(ctx context.Context) error {
		return d.registerAgent(ctx, string(sender), path)
	})
}

func (d *Device) callUnregisterAgent(sender dbus.Sender, path dbus.ObjectPath) *dbus.Error {
	return serveNothing(d.server, sender, "UnregisterAgent", actionNone, func(context.Context) error {
		return d.agents.remove(string(sender), path)
	})
}

func (d *Device) callRequestDefaultAgent(sender dbus.Sender, path dbus.ObjectPath, options Dict) *dbus.Error {
	return serveNothing(d.server, sender, "RequestDefaultAgent", actionNone, func(ctx context.Context) error {
		var o agentOptions
		if err := serverCodec().decode(options, &o); err != nil {
			return err
		}
		return d.defaultAgent(ctx, string(sender), path, o)
	})
}

// checkTexts holds plain string arguments to the limits that the codec sets
// for those in dictionaries.
func checkTexts(what string, texts ...string) error {
	if len(texts) > maxList {
		return fmt.Errorf("%w: %d are more than %d", ErrInvalidArguments, len(texts), maxList)
	}
	for _, s := range texts {
		if s == "" || len(s) > maxText {
			return fmt.Errorf("%w: a %s of %d bytes", ErrInvalidArguments, what, len(s))
		}
	}
	return nil
}
