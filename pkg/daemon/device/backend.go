package device

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/bluez"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Check says what is damaged or changed now.
func (d *Daemon) Check(ctx context.Context, deep bool) (busapi.CheckResult, error) {
	defer d.gauge.end(activityCheck)
	seen, err := d.lookOnce(ctx, look{why: "check", deep: deep, urgent: true, shown: true})
	if err != nil {
		return busapi.CheckResult{}, translate(err)
	}
	if damaged := seen.report.Damaged(); len(damaged) > 0 {
		hurries := slices.ContainsFunc(damaged, func(f detect.Finding) bool { return f.Class.Critical() })
		d.request(look{why: "checked", urgent: hurries})
	}
	return busapi.CheckResult{Items: d.toBus(seen.report.Findings), Counts: counts(seen.report)}, nil
}

func counts(r detect.Report) map[string]int64 {
	out := make(map[string]int64)
	for _, v := range detect.Verdicts() {
		out[string(v)] = int64(r.Counts[v])
	}
	return out
}

// Reprovision brings back what the request names (step 610, by the owner).
func (d *Daemon) Reprovision(ctx context.Context, req busapi.ReprovisionRequest, p busapi.Prompter) (busapi.ReprovisionResult, error) {
	run := &restoreRun{Daemon: d, fromName: req.From, takesOver: true, confirmed: req.Yes, dry: req.DryRun, prompter: p}
	var err error
	if run.sel, err = d.selection(req); err != nil {
		return busapi.ReprovisionResult{}, err
	}
	if req.Snapshot != "" {
		if run.snapshot, err = parseSnapshot(req.Snapshot); err != nil {
			return busapi.ReprovisionResult{}, err
		}
	}
	if _, err := d.keeper.reader(); err != nil {
		return busapi.ReprovisionResult{}, err
	}
	return d.restore(ctx, run)
}

func parseSnapshot(s string) (vault.SnapshotID, error) {
	id, err := vault.ParseSnapshotID(s)
	if err == nil && id.IsZero() {
		err = vault.ErrBadID
	}
	if err != nil {
		return id, fmt.Errorf("%w: %w", busapi.ErrInvalidArguments, err)
	}
	return id, nil
}

// selection reads what a request names. Only a named path or snapshot puts the
// saved state in place of a legitimate change.
func (d *Daemon) selection(req busapi.ReprovisionRequest) (reprovision.Selection, error) {
	sel := reprovision.Selection{Overwrite: req.Snapshot != "" || len(req.Paths) > 0}
	for _, c := range req.Classes {
		class, err := userdata.ParseClass(c)
		if err != nil {
			return sel, fmt.Errorf("%w: %w", busapi.ErrInvalidArguments, err)
		}
		sel.Classes = append(sel.Classes, class)
	}
	var err error
	sel.Below, err = d.locate(req.Paths)
	return sel, err
}

func (d *Daemon) locate(paths []string) ([]userdata.Name, error) {
	var names []userdata.Name
	for _, p := range paths {
		n, err := d.space.Locate(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", busapi.ErrInvalidArguments, err)
		}
		names = append(names, n)
	}
	return names, nil
}

// Forget marks a deletion or change that the owner means.
func (d *Daemon) Forget(_ context.Context, paths []string) (int64, error) {
	names, err := d.locate(paths)
	if err != nil {
		return 0, err
	}
	n, err := d.book.forget(names)
	if err == nil {
		d.request(look{why: "forget"})
	}
	return n, err
}

// Snapshots lists what the reader keeps of this device, newest first.
func (d *Daemon) Snapshots(ctx context.Context) ([]busapi.SnapshotInfo, error) {
	list, v, _, err := d.snapshots(ctx)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]busapi.SnapshotInfo, 0, len(list))
	for _, snap := range list {
		h, err := vault.OpenHeader(v.key, v.id, vault.SnapshotID(snap.ID), snap.Header)
		if unreadable(err) { // one that a card brought hides none of the others
			out = append(out, busapi.SnapshotInfo{ID: vault.SnapshotID(snap.ID).String(), Seq: snap.Seq, Mode: "unreadable", Stored: int64(snap.Bytes)})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read snapshot %s: %w", vault.SnapshotID(snap.ID), err)
		}
		out = append(out, describe(h, snap))
	}
	return out, nil
}

func describe(h vault.Header, snap session.Snapshot) busapi.SnapshotInfo {
	info := busapi.SnapshotInfo{
		ID: h.Snapshot.String(), Seq: h.Seq, Created: h.Created.Unix(), Mode: h.Mode.String(),
		Items: int64(h.Items), Bytes: h.Bytes, Stored: int64(snap.Bytes),
	}
	if !h.Parent.IsZero() {
		info.Parent = h.Parent.String()
	}
	return info
}

func (d *Daemon) snapshots(ctx context.Context) ([]session.Snapshot, opened, *session.Session, error) {
	s, err := d.keeper.wait(ctx)
	if err != nil {
		return nil, opened{}, nil, err
	}
	v, have, err := d.own()
	if err != nil || !have {
		return nil, v, s, err
	}
	mine, _, err := d.find(ctx, s, v.id)
	if err != nil || mine == nil {
		return nil, v, s, err
	}
	list, err := s.Snapshots(ctx, session.SnapshotQuery{Vault: v.id})
	return list, v, s, err
}

func (d *Daemon) items(ds *vault.DataSet) []busapi.ItemInfo {
	var out []busapi.ItemInfo
	for _, it := range ds.Manifest().Items() {
		info := busapi.ItemInfo{
			Path: d.path(it.Name), Class: string(it.Class), Type: it.Type.String(),
			Mode: fmt.Sprintf("%04o", it.Mode), Size: it.Size, ModTime: it.MTime,
		}
		if !isZero(it.Digest[:]) {
			info.SHA256 = hex.EncodeToString(it.Digest[:])
		}
		out = append(out, info)
	}
	return out
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// Unpair forgets the reader, and tells it when it is in range. The data at the
// reader stays there; the device keeps its vault key, so that pairing anew
// finds it again.
func (d *Daemon) Unpair(ctx context.Context) (told bool, err error) {
	peers, err := d.keys.Peers()
	if err != nil {
		return false, err
	}
	if len(peers) == 0 {
		return false, busapi.ErrNotPaired
	}
	if s := d.keeper.current(); s != nil {
		if err := s.Unpair(ctx); err != nil {
			d.log.Warn("cannot tell the reader", "error", err)
		} else {
			told = true
		}
	}
	for _, p := range peers { // more than one only after a crash in the middle of a pairing
		err = errors.Join(err, d.unpaired(p.ID))
	}
	return told, err
}

func (d *Daemon) unpaired(reader string) error {
	if p, err := d.keys.Peer(reader); err == nil {
		defer d.bluetooth.forget(p)
	}
	err := d.keys.RemovePeer(reader)
	d.keeper.reset()
	d.auto.kick()
	d.event("pairing", map[string]any{"state": "unpaired", "reader": reader})
	d.bus.Refresh()
	return err
}

// Status tells how things stand.
func (d *Daemon) Status(context.Context) (busapi.DeviceStatus, error) {
	report, unsaved, waiting := d.findings.snapshot()
	st := busapi.DeviceStatus{
		Name: d.cfg.Name, Activity: d.ops.current(), LastBackupAge: -1, Counts: counts(report),
		WouldLoseItems: int64(report.Counts[detect.Changed]), WouldLoseBytes: unsaved,
		Damaged: int64(len(report.Damaged())), Waiting: waiting, Watch: "off",
	}
	if d.watcher != nil {
		st.Watch = string(d.watcher.Backend())
	}
	if ds := d.book.current(); ds != nil {
		h := ds.Header()
		st.LastBackup, st.LastSnapshot = h.Created.Unix(), h.Snapshot.String()
		st.LastBackupAge = max(0, int64(d.now().Sub(h.Created).Seconds()))
	}
	st.ReaderDamage = d.damage.count()
	if last, known := d.lastDrill(); known {
		st.Verified = &last
	}
	auto := d.auto.info()
	authorized := d.guard.info()
	st.AutoBackup, st.Authorization, st.Questions = &auto, &authorized, d.bus.Questions()
	if held, err := d.keys.VaultKey(); err == nil {
		st.Passcode, st.CardPIN = held.Recipients[keyring.SlotPasscode] != nil, held.Recipients[keyring.SlotCardPIN] != nil
		st.RecoveryCode, st.KeysPending = held.Recipients[keyring.SlotRecovery] != nil, held.NextSince
	}
	jobs, err := d.state.jobs()
	st.Interrupted = len(jobs) > 0 && !d.ops.restoring()
	if err == nil {
		err = d.statusOfReader(&st)
	}
	return st, err
}

func (d *Daemon) statusOfReader(st *busapi.DeviceStatus) error {
	reader, err := d.keeper.reader()
	if errors.Is(err, busapi.ErrNotPaired) {
		return nil
	}
	if err != nil {
		return err
	}
	st.Paired, st.InRange = true, d.keeper.current() != nil
	info := peerInfo(reader)
	info.InRange = st.InRange
	st.Reader = &info
	if st.InRange {
		card := cardInfo(d.keeper.card())
		st.Card = &card
	} else if err := d.keeper.why(); err != nil {
		st.LinkError = err.Error()
	}
	return nil
}

func peerInfo(p keyring.Peer) busapi.PeerInfo {
	return busapi.PeerInfo{ID: p.ID, Name: p.Name, Address: p.Address, Paired: p.Paired.Unix()}
}

func cardInfo(c session.CardState) busapi.CardInfo {
	return busapi.CardInfo{State: c.Status.String(), Generation: c.Generation, Detail: c.Detail}
}

// translate gives an error of the conversation the name that it has on the bus:
// of several, the one that says most.
func translate(err error) error {
	for _, t := range []struct{ from, to error }{
		{keyring.ErrWrongPasscode, busapi.ErrWrongPasscode},
		{session.ErrWrongPasscode, busapi.ErrWrongPasscode},
		{session.ErrLockedOut, busapi.ErrLockedOut},
		{session.ErrPairingClosed, busapi.ErrPairingClosed},
		{session.ErrNotPaired, busapi.ErrNotPaired},
		{session.ErrWrongPeer, busapi.ErrNotPaired},
		{session.ErrNoData, busapi.ErrNoData},
		{session.ErrCard, busapi.ErrCard},
		{session.ErrNotAllowed, busapi.ErrNotAllowed},
		{session.ErrBusy, busapi.ErrBusy},
		{session.ErrOverQuota, busapi.ErrOverQuota},
		{session.ErrDisconnected, busapi.ErrOutOfRange},
		{bluez.ErrNotRunning, busapi.ErrNoLink},
		{bluez.ErrNoAdapter, busapi.ErrNoLink},
		{bluez.ErrPoweredOff, busapi.ErrNoLink},
		{bluez.ErrBlocked, busapi.ErrNoLink},
		{link.ErrUnreachable, busapi.ErrOutOfRange},
	} {
		if errors.Is(err, t.from) && !errors.Is(err, t.to) {
			return fmt.Errorf("%w: %w", t.to, err)
		}
	}
	return err
}
