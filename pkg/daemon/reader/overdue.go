package reader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/reprovision/reprovision/pkg/backup"
	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/keyring"
	"github.com/reprovision/reprovision/pkg/session"
)

// plans is when each device is next to back up, as it last said, so that the reader
// too can tell how old is too old, also of a device that never comes. It outlasts
// restarts, and goes by time that has passed: a small reader has no clock that
// goes on without power. It is safe for concurrent use.
type plans struct {
	file  string
	clock interface{ Read() backup.Reading }
	alarm *backup.Alarm
	wake  chan struct{} // holds one: a plan has changed
	log   *slog.Logger

	mu   sync.Mutex
	all  map[string]plan // by device
	told map[string]bool // that it is overdue
}

// plan is one device's.
type plan struct {
	Every time.Duration `json:"every"`
	Span  backup.Span   `json:"span"`
}

func (p plan) schedule() backup.Schedule { return backup.Schedule(p) }

// maxPlans is more bytes than the plans of keyring.MaxPeers devices take.
const maxPlans = 1 << 20

func openPlans(dir string, now func() time.Time, log *slog.Logger) (*plans, error) {
	p := &plans{
		file: filepath.Join(dir, "plans.json"), wake: make(chan struct{}, 1), log: log,
		all: make(map[string]plan), told: make(map[string]bool),
	}
	var err error
	if p.clock, err = backup.NewClock(now); err != nil {
		return nil, err
	}
	if err := p.load(); err != nil {
		log.Error("cannot read when the devices back up; they say it again", "error", err)
		p.all = make(map[string]plan)
	}
	p.alarm, err = backup.NewAlarm()
	return p, err
}

func (p *plans) load() error {
	info, err := os.Stat(p.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.Size() > maxPlans {
		err = fmt.Errorf("%s has %d bytes", p.file, info.Size())
	}
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(p.file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &p.all); err != nil || p.all == nil {
		return fmt.Errorf("cannot read %s: %w", p.file, err)
	}
	for id, one := range p.all {
		if one.Every <= 0 || one.Every > session.MaxPlan {
			delete(p.all, id)
		}
	}
	return nil
}

// hear takes down what a device says. What it has said before, and has kept to, is not
// written down again.
func (p *plans) hear(device string, said session.BackupPlan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Read()
	was, known := p.all[device]
	if said.Every == 0 {
		if !known {
			return nil
		}
		delete(p.all, device)
		return p.save(now, false)
	}
	next := plan{Every: said.Every, Span: backup.NewSpan(now, said.Every-said.DueIn, 0)}
	p.all[device] = next
	p.kick()
	if off := was.schedule().Left(now) - said.DueIn; known && was.Every == said.Every && off.Abs() < said.Every/100 {
		return nil
	}
	return p.save(now, false)
}

// save writes the plans down as of a reading; mu is held.
func (p *plans) save(now backup.Reading, orderly bool) error {
	for id, one := range p.all {
		if one.Span = one.Span.At(now); orderly {
			one.Span = one.Span.Ended(now)
		}
		p.all[id] = one
	}
	raw, err := json.Marshal(p.all)
	if err == nil {
		err = renameio.WriteFile(p.file, raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot keep when the devices back up: %w", err)
	}
	return nil
}

func (p *plans) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// end is the last that is written, in an orderly end.
func (p *plans) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if len(p.all) > 0 {
		err = p.save(p.clock.Read(), true)
	}
	return errors.Join(err, p.alarm.Close())
}

func (p *plans) close() error {
	if p == nil || p.alarm == nil {
		return nil
	}
	return p.alarm.Close()
}

// look lists those of the peers that are overdue,
// and says which of them are so newly, and when to look again: less than 0 for
// never. What is known of others is dropped.
func (p *plans) look(peers []keyring.Peer) (late []busapi.OverdueInfo, news []string, again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, kept := p.clock.Read(), make(map[string]plan)
	again = -1
	for _, peer := range peers {
		one, known := p.all[peer.ID]
		if !known {
			continue
		}
		kept[peer.ID] = one
		wait := one.schedule().UntilOverdue(now)
		if wait > 0 {
			delete(p.told, peer.ID)
			if again < 0 || wait < again {
				again = wait
			}
			continue
		}
		late = append(late, busapi.OverdueInfo{
			ID: peer.ID, Name: peer.Name, Every: int64(one.Every / time.Second), Late: int64(-one.schedule().Left(now) / time.Second),
		})
		if !p.told[peer.ID] {
			news = append(news, peer.ID)
		}
	}
	p.all = kept
	return late, news, again
}

// tell notes that it was told of these devices.
func (p *plans) tell(devices []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range devices {
		p.told[id] = true
	}
}

// stepped writes the plans down where the clock was set.
func (p *plans) stepped() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Read()
	for _, one := range p.all {
		if one.Span.Stepped(now) {
			return p.save(now, false)
		}
	}
	return nil
}

// watchOverdue tells that backups are overdue: on the display, by an event, and
// once in the log.
func (d *Daemon) watchOverdue(ctx context.Context) error {
	for {
		again, err := d.sayOverdue()
		if err = errors.Join(err, d.plans.stepped()); err != nil {
			d.log.Error("cannot tell what is overdue", "error", err)
		}
		if err := d.plans.alarm.Set(again); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.plans.alarm.Rings():
		case <-d.plans.wake:
		}
	}
}

// displayAge is how often the display is brought up to date while it says for how
// long a backup has been overdue.
const displayAge = time.Hour

func (d *Daemon) sayOverdue() (again time.Duration, err error) {
	peers, err := d.keys.Peers()
	if err != nil {
		return displayAge, err
	}
	late, news, again := d.plans.look(peers)
	for _, o := range late {
		for _, id := range news {
			if o.ID == id {
				d.log.Warn("the backup of a device is OVERDUE", "device", o.ID, "every", time.Duration(o.Every)*time.Second, "late", time.Duration(o.Late)*time.Second)
				d.event("backup", map[string]any{"state": "overdue", "device": o.ID, "name": o.Name, "every": o.Every, "late": o.Late})
			}
		}
	}
	d.plans.tell(news)
	d.panel.SetNotice(notice(late))
	d.bus.Refresh()
	if len(late) > 0 && (again < 0 || again > displayAge) {
		again = displayAge
	}
	return again, nil
}

// notice is what the display says of overdue backups.
func notice(late []busapi.OverdueInfo) string {
	switch len(late) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s: for %s", late[0].Name, roughly(time.Duration(late[0].Late)*time.Second))
	}
	return fmt.Sprintf("%s and %d more", late[0].Name, len(late)-1)
}

// roughly writes a time as a display has room for.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
