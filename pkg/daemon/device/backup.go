package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// Backup sends a data set now (FIG. 5 without the steps 512 and 516).
func (d *Daemon) Backup(ctx context.Context, full bool) (busapi.BackupResult, error) {
	end, err := d.ops.only(ctx, activityBackup, d.backups)
	if err != nil {
		return busapi.BackupResult{}, err
	}
	defer end()
	run := &backupRun{Daemon: d, full: full, anyway: full}
	final, err := backup.Drive(ctx, backup.Begin, run.step)
	if err != nil {
		return busapi.BackupResult{}, translate(err)
	}
	switch final {
	case backup.Away, backup.Unpaired, backup.Broken:
		return busapi.BackupResult{}, translate(run.failure)
	}
	run.done(false)
	return run.result, nil
}

// done is the end of a walk after which the reader has what the device has: it is
// told, and the span until the next backup begins anew.
func (r *backupRun) done(byItself bool) {
	r.event("backup", map[string]any{
		"snapshot": r.result.Snapshot, "mode": r.result.Mode, "changed": r.result.Changed,
		"items": r.result.Items, "bytes_sent": r.result.BytesSent, "healed": r.result.Healed, "auto": byItself,
	})
	if err := r.auto.reset(r.result); err != nil {
		r.log.Error("cannot note when the last backup was", "error", err)
	}
	r.bus.Refresh()
}

// backupRun is one walk through the figure.
type backupRun struct {
	*Daemon
	full       bool
	anyway     bool // also if nothing has changed
	healOnly   bool // save nothing but what is damaged at the reader
	session    *session.Session
	before     traffic // on the link, when it began
	vault      opened
	base       *vault.DataSet        // at the reader, complete; nil for none
	below      *vault.DataSet        // at the reader, the critical part of one that came on a card; nil for none
	above      *session.Snapshot     // at the reader, newer than base and not to be read; nil for none
	lost       map[vault.BlobID]bool // of the base, damaged at the reader
	sight      sight
	marks      *marks
	recognized bool                     // the vault was not asked for
	assumed    bool                     // what is known of the vault is from before
	ask        bool                     // the reader may have some of the blobs already
	meant      map[userdata.Name]uint64 // the owner's words, as of the sight
	failure    error
	result     busapi.BackupResult
}

func (r *backupRun) step(ctx context.Context, s backup.State) (backup.Event, error) {
	switch s {
	case backup.InRange: // 518
		return r.reach(ctx)
	case backup.Comparing: // 520
		return r.compare(ctx)
	case backup.Pairing: // 522: a session is only had with a paired reader
		return backup.Paired, nil
	}
	return r.send(ctx) // 524
}

func (r *backupRun) reach(ctx context.Context) (backup.Event, error) {
	s, err := r.keeper.wait(ctx)
	if errors.Is(err, busapi.ErrOutOfRange) {
		r.failure = err
		return backup.Unreachable, nil
	}
	r.session = s
	return backup.Reachable, err
}

func (r *backupRun) compare(ctx context.Context) (backup.Event, error) {
	r.before = usage(r.session)
	if err := r.meet(ctx); err != nil {
		return 0, err
	}
	var err error
	r.meant = r.book.meant()
	if r.sight, err = r.lookOnce(ctx, look{why: "backup", urgent: true}); err != nil {
		return 0, err
	}
	r.lost = r.damage.of(r.base)
	if r.healOnly {
		return r.compareToHeal()
	}
	if len(r.lost) > 0 || r.above != nil || r.anyway || r.base == nil || r.reclassed() || r.base != r.book.current() || r.sight.report.Counts[detect.Changed] > 0 {
		return backup.Different, nil
	}
	if r.assumed && !r.stillThere(ctx, r.session, r.vault, r.base) {
		r.familiar.forget()
		return r.compare(ctx)
	}
	h := r.base.Header()
	r.result = busapi.BackupResult{Snapshot: h.Snapshot.String(), Mode: h.Mode.String(), Items: int64(h.Items)}
	r.tally()
	r.keepBack()
	return backup.Same, nil
}

// meet finds the vault at the reader and its newest data set.
func (r *backupRun) meet(ctx context.Context) error {
	done, err := r.askAlone(ctx)
	if err != nil {
		return err
	}
	defer done()
	var since time.Time
	if r.vault, r.base, since, r.assumed = r.recognize(r.session); r.assumed && !r.healOnly {
		r.recognized, r.assumed = true, r.now().Sub(since) > freshFor
		return nil
	}
	r.recognized, r.assumed = false, false
	rotating := r.rotating() // what the reader has changes with it
	var there *session.Vault
	if r.vault, there, err = r.ensureKnown(ctx, r.session); err != nil {
		return err
	}
	if rotating || r.rotating() {
		r.base, err = r.follow(ctx, r.session, r.vault)
	} else {
		r.base, err = r.followOf(ctx, r.session, r.vault, there)
	}
	if unreadable(err) {
		err = r.goAbove(ctx, err)
	}
	if err != nil {
		return err
	}
	if r.base != nil && !r.base.Complete() {
		r.base, r.below = nil, r.base
	}
	return nil
}

func (r *backupRun) compareToHeal() (backup.Event, error) {
	switch {
	case len(r.lost) == 0:
		return backup.Same, nil
	case !r.onlyHeals():
		return 0, errChangedSince
	}
	return backup.Different, nil
}

// reclassed tells whether the settings have given a root another class since the
// base was made: it may have to move to the other part, and to the card.
func (r *backupRun) reclassed() bool {
	for root, class := range r.base.Header().Roots {
		if now, here := r.space.Root(root); here && now.Class != class {
			return true
		}
	}
	return false
}

// send builds the data set and hands it over. An attempt that is cut short is
// gone on with by the next: the same contents give the same blobs. Where the reader has lost a
// blob since it said that it had it, it is asked once more.
func (r *backupRun) send(ctx context.Context) (backup.Event, error) {
	pending, err := r.pending()
	if err != nil {
		return 0, err
	}
	if r.base == nil {
		r.attest(ctx, r.session) // so that the card's first version holds the record, too
	}
	err = r.attempt(ctx, pending)
	if r.recognized && (errors.Is(err, session.ErrStale) || errors.Is(err, session.ErrNoVault) || errors.Is(err, session.ErrNotAllowed)) {
		r.log.Warn("the vault at the reader is not as this session had it, asking again", "error", err)
		r.familiar.forget()
		if _, err = r.compare(ctx); err == nil {
			r.ask = true
			err = r.attempt(ctx, pending)
		}
	}
	if errors.Is(err, session.ErrConflict) && !r.ask {
		r.log.Debug("the reader has some of it already", "error", err)
		r.ask = true
		err = r.attempt(ctx, pending)
	}
	if errors.Is(err, session.ErrNoData) || errors.Is(err, session.ErrDamaged) {
		r.log.Warn("the reader lacks what it had, sending it again", "error", err)
		r.familiar.forget()
		r.ask = true
		err = r.attempt(ctx, pending)
	}
	if errors.Is(err, session.ErrDisconnected) {
		r.failure = fmt.Errorf("%w: %w", busapi.ErrOutOfRange, err)
		return backup.Interrupted, nil
	}
	return backup.Committed, err
}

func (r *backupRun) attempt(ctx context.Context, pending pendingBackup) error {
	defer r.gauge.end(activityBackup)
	up := startUpload(ctx, r.session, r.vault.id, r.ask, &r.unsent, r.epochOf())
	r.marks = newMarks(r.state, r.log)
	commit, ds, filled, err := r.fill(ctx, pending, up)
	if err = up.finish(err); err != nil {
		return err
	}
	if commit.Empty() && len(r.lost) > 0 && r.onlyHeals() { // each came out as it was, and is whole again
		err = r.state.drop(keyPending)
		commit, ds = nil, r.base
	} else {
		err = r.commit(ctx, commit, ds, filled)
	}
	if err == nil {
		r.report(ctx, commit, ds, filled)
	}
	return err
}

// pending returns the backup that this one goes on with, or a new one.
func (r *backupRun) pending() (pendingBackup, error) {
	var p pendingBackup
	known, err := r.state.load(keyPending, &p)
	if err != nil {
		r.log.Warn("cannot read the interrupted backup, starting anew", "error", err)
	}
	if known && err == nil && p.Full == r.full {
		r.ask = true
		return p, nil
	}
	r.ask = known || err != nil || len(r.lost) > 0
	p = pendingBackup{Snapshot: vault.NewSnapshotID(), Full: r.full}
	return p, r.state.store(keyPending, p)
}

func (r *backupRun) fill(ctx context.Context, p pendingBackup, up *upload) (*vault.Commit, *vault.DataSet, backup.Result, error) {
	mode, seq := vault.Incremental, uint64(1)
	if r.full || r.base == nil {
		mode = vault.Full
	}
	var head *vault.Head
	if r.base != nil {
		seq = r.base.Header().Seq + 1
	} else if r.below != nil {
		h := r.below.Header()
		seq, head = h.Seq+1, &vault.Head{Snapshot: h.Snapshot, Blobs: r.below.Blobs(vault.Critical)}
	} else if ours := r.book.current(); ours != nil && ours.Header().Seq < vault.MaxSeq/2 {
		seq = ours.Header().Seq + 1 // a new vault goes on counting, so that a card is not newer than it
	}
	var over *vault.Head
	if r.above != nil {
		seq, head = max(seq, r.above.Seq+1), nil
		over = &vault.Head{Snapshot: r.above.ID}
	}
	seq, err := r.beyond(seq)
	if err != nil {
		return nil, nil, backup.Result{}, err
	}
	salts, err := r.salts(ctx)
	if err != nil {
		return nil, nil, backup.Result{}, err
	}
	repack := backup.Repack(r.base)
	w, err := vault.NewWriter(vault.WriterConfig{
		Key: r.vault.key, Vault: r.vault.id, Base: r.base, Head: head, Above: over, Mode: mode, Snapshot: p.Snapshot,
		Seq: seq, Now: r.now().UTC(), Repack: repack, Lost: r.lost, Salts: salts,
		Marks: r.marks, Put: up.put,
	})
	if err != nil {
		return nil, nil, backup.Result{}, err
	}
	filled, err := backup.Fill(ctx, backup.Input{
		Writer: w, Base: r.base, Full: mode == vault.Full, Repack: repack, Lost: r.lost,
		Scan: r.sight.now, Report: r.sight.report, Log: r.log,
		Open:     func(n userdata.Name) (io.ReadCloser, error) { return r.scanner.Open(n) },
		Progress: func(done, total int64) { r.gauge.set(activityBackup, done, total) },
	})
	if err != nil {
		return nil, nil, filled, err
	}
	commit, ds, err := w.Finish(ctx)
	return commit, ds, filled, err
}

// commit makes the data set the newest at the reader. The device writes down
// what it is about to commit first: whatever is cut short, it finds out later
// whether the reader has it.
func (r *backupRun) commit(ctx context.Context, c *vault.Commit, ds *vault.DataSet, filled backup.Result) error {
	t := turn{Done: r.book.settled(ds, r.sight, r.meant)}
	r.book.doubt(filled.Other)
	unsure := slices.Concat(r.sight.report.Findings, filled.Held, filled.Skipped)
	t.Lost = r.book.lostBy(ds, unsure, t.Done)
	raw, err := ds.Encode()
	if err != nil {
		return err
	}
	turned, err := cbor.Marshal(t)
	if err != nil {
		return err
	}
	highest, err := cbor.Marshal(c.Seq)
	if err != nil {
		return err
	}
	if err := r.state.put(map[string][]byte{keyPrepared: raw, keyTurn: turned, keyHighest: highest}); err != nil {
		return err
	}
	critical := plain(c.Critical)
	voucher, err := r.vouch(authorization.Head{
		Vault: c.Vault, Snapshot: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Critical: critical,
	})
	if err != nil {
		return err
	}
	r.familiar.forget() // until the answer is here, this may be the head or not
	state, err := r.session.Commit(ctx, session.Commit{
		Vault: c.Vault, Snapshot: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Header: c.Header,
		Add: plain(c.Add), Drop: plain(c.Drop), Critical: critical, Books: plain(c.Books), Anew: c.Anew, Voucher: voucher,
	})
	if err != nil {
		return err
	}
	r.keeper.setCard(state)
	r.met(r.session, c.Vault, c.Snapshot)
	if err := r.adopt(ds, t); err != nil {
		return err
	}
	r.marks.settle(ds, ds.Header().Mode == vault.Full)
	return nil
}

// beyond is the generation after that, and after all that this device has given out:
// the readers of one owner compare what a card brings with theirs by it. What was written
// down and cannot have been given out is passed over: it would stand in the way for ever.
func (r *backupRun) beyond(seq uint64) (uint64, error) {
	var highest uint64
	if _, err := r.state.load(keyHighest, &highest); err != nil {
		return 0, err
	}
	if highest >= vault.MaxSeq/2 {
		r.log.Warn("the highest generation that was written down is beyond all bounds, passing it over", "seq", highest)
		highest = 0
	}
	if seq = max(seq, highest+1); seq > vault.MaxSeq/2 {
		return 0, fmt.Errorf("cannot save as snapshot %d: %w", seq, errGeneration)
	}
	return seq, nil
}

func plain(ids []vault.BlobID) []session.ID {
	out := make([]session.ID, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

// report says what was done; there is no commit where the last one holds.
func (r *backupRun) report(ctx context.Context, c *vault.Commit, ds *vault.DataSet, filled backup.Result) {
	h := ds.Header()
	r.result = busapi.BackupResult{
		Snapshot: h.Snapshot.String(), Mode: h.Mode.String(), Changed: c != nil,
		Items: int64(h.Items), ItemsSent: int64(filled.Sent),
	}
	r.countHealed(ctx, ds)
	r.hold(filled.Held)
	for _, f := range filled.Skipped {
		r.skip(f)
	}
	r.tally()
	// What was saved is intact from now on, and the status should say so; but
	// the look that it was made by is old by now.
	if _, err := r.lookOnce(ctx, look{why: "saved", urgent: true}); err != nil && ctx.Err() == nil {
		r.log.Warn("cannot look at what was saved", "error", err)
	}
}

// keepBack tells of what is damaged where there is nothing to save: of what is new no
// snapshot has a good state.
func (r *backupRun) keepBack() {
	for _, f := range r.sight.report.Damaged() {
		if _, saved := r.base.Entry(f.Name); saved {
			r.hold([]detect.Finding{f})
		} else {
			r.skip(f)
		}
	}
}

func (r *backupRun) skip(f detect.Finding) {
	r.result.Skipped = append(r.result.Skipped, r.space.Path(f.Name)+": "+f.Reason)
}

func (r *backupRun) hold(held []detect.Finding) {
	for _, f := range held {
		r.result.Held = append(r.result.Held, r.space.Path(f.Name)+": "+f.Reason)
	}
}

// traffic counts bytes on the link, both ways.
type traffic struct{ sent, received uint64 }

func usage(s *session.Session) traffic { return traffic{s.BytesSent(), s.BytesReceived()} }

func (r *backupRun) tally() {
	now := usage(r.session)
	r.result.BytesSent = int64(now.sent - r.before.sent)
	r.result.BytesReceived = int64(now.received - r.before.received)
	r.result.Card = cardInfo(r.keeper.card())
}
