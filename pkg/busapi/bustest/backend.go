package bustest

import (
	"context"
	"fmt"
	"sync"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// Hook runs inside a backend's method; p is nil where the method has none. The
// method returns its error, if any.
type Hook func(ctx context.Context, p busapi.Prompter) error

// recorder writes down the calls that a backend gets, and runs hooks.
type recorder struct {
	mu    sync.Mutex
	calls []string
	hooks map[string]Hook
}

// On sets what happens inside a method.
func (r *recorder) On(method string, hook Hook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hooks == nil {
		r.hooks = make(map[string]Hook)
	}
	r.hooks[method] = hook
}

// Fail has a method return an error.
func (r *recorder) Fail(method string, err error) {
	r.On(method, func(context.Context, busapi.Prompter) error { return err })
}

// Calls lists the calls so far, each as "Method arguments", without Status.
func (r *recorder) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.calls...)
}

func (r *recorder) got(ctx context.Context, p busapi.Prompter, method string, args ...any) error {
	r.mu.Lock()
	if method != "Status" { // read whenever the properties may have changed
		call := method
		for _, a := range args {
			call += fmt.Sprintf(" %+v", a)
		}
		r.calls = append(r.calls, call)
	}
	hook := r.hooks[method]
	r.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(ctx, p)
}

// Device is a busapi.DeviceBackend that records its calls and answers with the
// values it holds. Set changes them while it is in use.
type Device struct {
	recorder
	values sync.Mutex
	DeviceValues
}

// DeviceValues are a Device's answers.
type DeviceValues struct {
	State  busapi.DeviceStatus
	Peer   busapi.PeerInfo
	Told   bool
	Saved  busapi.BackupResult
	List   []busapi.SnapshotInfo
	Items  []busapi.ItemInfo
	Found  busapi.CheckResult
	Result busapi.ReprovisionResult
	Count  int64
	Diff   []busapi.ItemChange
	Drill  busapi.VerifyResult
	Auto   busapi.AutoBackupInfo
	Rights busapi.AuthorizationInfo
}

// Set changes the answers.
func (d *Device) Set(change func(*DeviceValues)) {
	d.values.Lock()
	defer d.values.Unlock()
	change(&d.DeviceValues)
}

func (d *Device) get() DeviceValues {
	d.values.Lock()
	defer d.values.Unlock()
	return d.DeviceValues
}

// Status implements busapi.DeviceBackend, as do the methods below.
func (d *Device) Status(ctx context.Context) (busapi.DeviceStatus, error) {
	return d.get().State, d.got(ctx, nil, "Status")
}

// Pair answers with Peer.
func (d *Device) Pair(ctx context.Context, address string, p busapi.Prompter) (busapi.PeerInfo, error) {
	return d.get().Peer, d.got(ctx, p, "Pair", address)
}

// Unpair answers with Told.
func (d *Device) Unpair(ctx context.Context) (bool, error) {
	return d.get().Told, d.got(ctx, nil, "Unpair")
}

// Backup answers with Saved.
func (d *Device) Backup(ctx context.Context, full bool) (busapi.BackupResult, error) {
	return d.get().Saved, d.got(ctx, nil, "Backup", full)
}

// Snapshots answers with List.
func (d *Device) Snapshots(ctx context.Context) ([]busapi.SnapshotInfo, error) {
	return d.get().List, d.got(ctx, nil, "Snapshots")
}

// SnapshotItems answers with Items.
func (d *Device) SnapshotItems(ctx context.Context, id string) ([]busapi.ItemInfo, error) {
	return d.get().Items, d.got(ctx, nil, "SnapshotItems", id)
}

// SnapshotDiff answers with Diff.
func (d *Device) SnapshotDiff(ctx context.Context, from, to string) ([]busapi.ItemChange, error) {
	return d.get().Diff, d.got(ctx, nil, "SnapshotDiff", from, to)
}

// Verify answers with Drill.
func (d *Device) Verify(ctx context.Context, bytes int64) (busapi.VerifyResult, error) {
	return d.get().Drill, d.got(ctx, nil, "Verify", bytes)
}

// Check answers with Found.
func (d *Device) Check(ctx context.Context, deep bool) (busapi.CheckResult, error) {
	return d.get().Found, d.got(ctx, nil, "Check", deep)
}

// Reprovision answers with Result.
func (d *Device) Reprovision(ctx context.Context, req busapi.ReprovisionRequest, p busapi.Prompter) (busapi.ReprovisionResult, error) {
	return d.get().Result, d.got(ctx, p, "Reprovision", req)
}

// SetPasscode answers that a passcode is set.
func (d *Device) SetPasscode(ctx context.Context, req busapi.PasscodeRequest, p busapi.Prompter) (busapi.PasscodeResult, error) {
	return busapi.PasscodeResult{Passcode: !req.CardPIN, CardPIN: req.CardPIN}, d.got(ctx, p, "SetPasscode", req)
}

// ClearPasscode answers that none is set.
func (d *Device) ClearPasscode(ctx context.Context) (busapi.PasscodeResult, error) {
	return busapi.PasscodeResult{}, d.got(ctx, nil, "ClearPasscode")
}

// NewRecoveryCode answers with no real code.
func (d *Device) NewRecoveryCode(ctx context.Context) (busapi.RecoveryCode, error) {
	return busapi.RecoveryCode{Code: "0000-0000"}, d.got(ctx, nil, "NewRecoveryCode")
}

// Forget answers with Count.
func (d *Device) Forget(ctx context.Context, paths []string) (int64, error) {
	return d.get().Count, d.got(ctx, nil, "Forget", fmt.Sprintf("%q", paths))
}

// AutoBackup answers with Auto, as do the next two.
func (d *Device) AutoBackup(ctx context.Context) (busapi.AutoBackupInfo, error) {
	return d.get().Auto, d.got(ctx, nil, "AutoBackup")
}

// ConfigureAutoBackup implements busapi.DeviceBackend.
func (d *Device) ConfigureAutoBackup(ctx context.Context, s busapi.AutoBackupSettings) (busapi.AutoBackupInfo, error) {
	return d.get().Auto, d.got(ctx, nil, "ConfigureAutoBackup", s)
}

// DisableAutoBackup implements busapi.DeviceBackend.
func (d *Device) DisableAutoBackup(ctx context.Context) (busapi.AutoBackupInfo, error) {
	return d.get().Auto, d.got(ctx, nil, "DisableAutoBackup")
}

// Authorization answers with Rights, as do the next two.
func (d *Device) Authorization(ctx context.Context) (busapi.AuthorizationInfo, error) {
	return d.get().Rights, d.got(ctx, nil, "Authorization")
}

// OverrideAuthorization implements busapi.DeviceBackend.
func (d *Device) OverrideAuthorization(ctx context.Context, o busapi.AuthorizationOverride) (busapi.AuthorizationInfo, error) {
	return d.get().Rights, d.got(ctx, nil, "OverrideAuthorization", o)
}

// ResumeAuthorization implements busapi.DeviceBackend.
func (d *Device) ResumeAuthorization(ctx context.Context) (busapi.AuthorizationInfo, error) {
	return d.get().Rights, d.got(ctx, nil, "ResumeAuthorization")
}

// Reader is a busapi.ReaderBackend that records its calls and answers with the
// values it holds. Set changes them while it is in use.
type Reader struct {
	recorder
	values sync.Mutex
	ReaderValues
}

// ReaderValues are a Reader's answers.
type ReaderValues struct {
	State  busapi.ReaderStatus
	Screen busapi.DisplayInfo
	Card   busapi.CardInfo
	Report busapi.CardReport
	PIN    busapi.PINInfo
}

// Set changes the answers.
func (r *Reader) Set(change func(*ReaderValues)) {
	r.values.Lock()
	defer r.values.Unlock()
	change(&r.ReaderValues)
}

func (r *Reader) get() ReaderValues {
	r.values.Lock()
	defer r.values.Unlock()
	return r.ReaderValues
}

// Status implements busapi.ReaderBackend, as do the methods below.
func (r *Reader) Status(ctx context.Context) (busapi.ReaderStatus, error) {
	return r.get().State, r.got(ctx, nil, "Status")
}

// Press answers with Screen.
func (r *Reader) Press(ctx context.Context) (busapi.DisplayInfo, error) {
	return r.get().Screen, r.got(ctx, nil, "Press")
}

// Display answers with Screen.
func (r *Reader) Display(ctx context.Context) (busapi.DisplayInfo, error) {
	return r.get().Screen, r.got(ctx, nil, "Display")
}

// Devices answers with those of State.
func (r *Reader) Devices(ctx context.Context) ([]busapi.PeerInfo, error) {
	return r.get().State.Devices, r.got(ctx, nil, "Devices")
}

// Forget answers with nothing.
func (r *Reader) Forget(ctx context.Context, device string) error {
	return r.got(ctx, nil, "Forget", device)
}

// CardStatus answers with Card.
func (r *Reader) CardStatus(ctx context.Context) (busapi.CardInfo, error) {
	return r.get().Card, r.got(ctx, nil, "CardStatus")
}

// CardInit answers with Card.
func (r *Reader) CardInit(ctx context.Context, choice busapi.CardChoice) (busapi.CardInfo, error) {
	return r.get().Card, r.got(ctx, nil, "CardInit", choice)
}

// CardVerify answers with Report.
func (r *Reader) CardVerify(ctx context.Context) (busapi.CardReport, error) {
	return r.get().Report, r.got(ctx, nil, "CardVerify")
}

// CardPIN answers with PIN.
func (r *Reader) CardPIN(ctx context.Context) (busapi.PINInfo, error) {
	return r.get().PIN, r.got(ctx, nil, "CardPIN")
}

// CardSetPIN answers with PIN.
func (r *Reader) CardSetPIN(ctx context.Context, codes busapi.PINCodes) (busapi.PINInfo, error) {
	return r.get().PIN, r.got(ctx, nil, "CardSetPIN", codes)
}

// CardChangePIN answers with PIN.
func (r *Reader) CardChangePIN(ctx context.Context, codes busapi.PINCodes) (busapi.PINInfo, error) {
	return r.get().PIN, r.got(ctx, nil, "CardChangePIN", codes)
}

// CardClearPIN answers with PIN.
func (r *Reader) CardClearPIN(ctx context.Context, codes busapi.PINCodes) (busapi.PINInfo, error) {
	return r.get().PIN, r.got(ctx, nil, "CardClearPIN", codes)
}
