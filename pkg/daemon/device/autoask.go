package device

import (
	"context"
	"fmt"
	"time"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
)

// What the owner is asked for, as the status and the event "backup" name it.
const (
	promptConfigure = "configure" // step 514
	promptReader    = "reader"    // bring it near (paragraph 35)
	promptPair      = "pair"      // step 522
	promptDecide    = "decide"    // whose data are to be kept
)

// configure is step 514. It asks without waiting: the status says what is wanted for as
// long as it is, an event says so once, and the interviewer has agents ask. The answer
// (ConfigureAutoBackup, DisableAutoBackup) brings about another walk. Before there is a
// reader nothing can be backed up, and nobody is asked.
func (r *autoRun) configure() backup.Event {
	if _, err := r.keeper.reader(); err != nil {
		return backup.Silent
	}
	if r.auto.ask(promptConfigure) {
		r.event("backup", map[string]any{"state": "unconfigured", "auto": true, "prompt": promptConfigure})
		r.log.Info("nobody has said whether this device is to back up by itself")
		r.bus.Refresh()
	}
	return backup.Silent
}

// ask notes what the owner is asked for, and tells whether that is new.
func (a *auto) ask(prompt string) (news bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.want(prompt)
}

// want notes what the owner is asked for, and tells whether that is new; mu is held.
func (a *auto) want(prompt string) (news bool) {
	news = a.prompt != prompt
	a.prompt = prompt
	if news && a.asked != nil {
		a.asked()
	}
	return news
}

// wanted is what the owner is asked for.
func (a *auto) wanted() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.prompt
}

// offered tells whether the data of an earlier device could be taken over.
func (f *findings) offered() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.offer != ""
}

// info is how the automatic backup stands.
func (a *auto) info() busapi.AutoBackupInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := busapi.AutoBackupInfo{
		State: "unset", LastRun: a.last.At, LastResult: a.last.Result, LastReason: a.last.Reason, Prompt: a.prompt,
	}
	var w word
	if w, i.By = a.holds(); i.By == "" {
		return i
	}
	if i.State = "off"; w.Off {
		return i
	}
	i.State, i.Every, i.Mode = "on", int64(w.Every/time.Second), "incremental"
	if w.Full {
		i.Mode = "full"
	}
	now, s := a.clock.Read(), a.schedule()
	i.NextDue = s.Due(now).Unix()
	if since, yes := s.Overdue(now); yes {
		i.OverdueSince = max(since.Unix(), 1)
	}
	return i
}

// AutoBackup tells how the automatic backup stands.
func (d *Daemon) AutoBackup(context.Context) (busapi.AutoBackupInfo, error) {
	return d.auto.info(), nil
}

// ConfigureAutoBackup takes down when the owner wants a backup (step 514).
func (d *Daemon) ConfigureAutoBackup(_ context.Context, s busapi.AutoBackupSettings) (busapi.AutoBackupInfo, error) {
	if s.Every < int64(backup.MinEvery/time.Second) || s.Every > int64(backup.MaxEvery/time.Second) {
		return busapi.AutoBackupInfo{}, fmt.Errorf("%w: a backup every %d seconds; want 1 second to a year", busapi.ErrInvalidArguments, s.Every)
	}
	w := word{Every: time.Duration(s.Every) * time.Second, Full: s.Mode == "full"}
	return d.takeWord(w, map[string]any{"state": "configured", "every": s.Every, "mode": s.Mode})
}

// DisableAutoBackup takes down that the owner wants none (step 514).
func (d *Daemon) DisableAutoBackup(context.Context) (busapi.AutoBackupInfo, error) {
	return d.takeWord(word{Off: true}, map[string]any{"state": "disabled"})
}

func (d *Daemon) takeWord(w word, told map[string]any) (busapi.AutoBackupInfo, error) {
	if err := d.auto.say(w); err != nil {
		return busapi.AutoBackupInfo{}, err
	}
	d.event("backup", told)
	d.log.Info("the owner has said when to back up", "every", w.Every, "off", w.Off, "full", w.Full)
	d.bus.Refresh()
	return d.auto.info(), nil
}
