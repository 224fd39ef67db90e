package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/reprovision/reprovision/scripts/bench/meter"
)

// Bars of the engine, in the units of its rows.
const (
	mostInitial  = 281e6
	mostTiny     = 165e3
	mostIdleRun  = 300
	mostIdleNew  = 5e3
	mostEdit     = 2.5e3
	mostRows     = 70e3
	mostFront    = 12e3
	mostRestore  = 0.85 // seconds
	mostLinkTime = 1.05
	mostWall     = 0.8
	mostPeak     = 60  // MB
	mostIdleCPU  = 0.1 // %
	subsetBytes  = 20_000_000
	idleMinute   = 60 * time.Second
)

// engine measures what a backup and a restore cost, beside the peers: first the
// whole tree, then its service books and keys alone, then 20 MB of it.
func engine(ctx context.Context, s settings, l *league) error {
	tree := s.tree
	if tree == "" {
		tree = filepath.Join(s.dir, "tree")
		if _, err := os.Stat(tree); err != nil {
			if err := phone(tree, phoneBytes); err != nil {
				return err
			}
		}
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context, settings, string, *league) error
	}{{"service books and keys", tiny}, {"20 MB", subset}, {"the whole tree", whole}} {
		s.logf("  %s", part.name)
		if err := part.measure(ctx, s, tree, l); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// scene is a sandbox that has the user data, and the peers that save the same.
type scene struct {
	*metered
	rivals rivals
}

// openScene starts both; put writes the user data.
func openScene(ctx context.Context, s settings, l *league, name string, peers []string, put func(phone string) error) (*scene, error) {
	m, err := openMetered(ctx, s, name)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(m.dir, "phone")
	err = put(data)
	if err == nil {
		err = m.settle(ctx)
	}
	var r rivals
	if err == nil {
		r, err = startRivals(ctx, s, l, name+".peers", data, peers...)
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return &scene{metered: m, rivals: r}, nil
}

func (c *scene) close() error { return errors.Join(c.rivals.close(), c.metered.close()) }

// saved measures a backup, and what the peers need for the same.
func (c *scene) saved(ctx context.Context, l *league, what string, most float64) (spentOn, map[string]spentOn, error) {
	ours, err := c.measure(ctx, "backup")
	if err != nil {
		return ours, nil, err
	}
	theirs, err := c.rivals.each(func(p peer) (spentOn, error) { return p.save(ctx) })
	if err == nil {
		l.add(step{what: what, unit: "B", most: most, ours: float64(ours.count.Both()), peers: bytesOf(theirs)})
	}
	return ours, theirs, err
}

// tiny is about the service books and keys alone.
func tiny(ctx context.Context, s settings, tree string, l *league) (err error) {
	c, err := openScene(ctx, s, l, "tiny", peerNames(), func(to string) error { return copyTree(tree, to, criticalOnly) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, _, err := c.saved(ctx, l, "initial backup, service books and keys", mostTiny); err != nil {
		return err
	}
	for _, at := range []struct {
		name string
		link meter.Shape
		most float64
	}{{"220 kB/s, 20 ms", fastLink(), mostRestore}, {"80 kB/s, 60 ms", slowLink(), 0}} {
		if err := c.bringBack(ctx, s, l, at.name, at.link, at.most); err != nil {
			return err
		}
	}
	return nil
}

// bringBack measures restores to a device that has nothing, over a link.
func (c *scene) bringBack(ctx context.Context, s settings, l *league, name string, link meter.Shape, most float64) error {
	var took []time.Duration
	var last spentOn
	for range s.rounds {
		c.meter.SetShape(meter.Shape{})
		if err := c.replace(ctx); err != nil {
			return err
		}
		c.meter.SetShape(link)
		var err error
		if last, err = c.measure(ctx, "reprovision", "--yes"); err != nil {
			return err
		}
		took = append(took, last.took)
	}
	i := 0
	theirs, err := c.rivals.each(func(p peer) (spentOn, error) {
		i++
		to := filepath.Join(s.dir, fmt.Sprintf("back%d", i))
		defer os.RemoveAll(to)
		if err := os.MkdirAll(to, 0o700); err != nil {
			return spentOn{}, err
		}
		return p.restore(ctx, to, link)
	})
	if err != nil {
		return err
	}
	if most > 0 {
		l.add(step{what: "the same restored, nothing cached", unit: "B", most: mostTiny, ours: float64(last.count.Both()), peers: bytesOf(theirs)})
	}
	l.add(step{what: "that at " + name + ", from request to verified", unit: "s", most: most, ours: median(took).Seconds(), peers: secondsOf(theirs)})
	return nil
}

// subset is about how well a long restore uses the link.
func subset(ctx context.Context, s settings, tree string, l *league) (err error) {
	c, err := openScene(ctx, s, l, "subset", nil, func(to string) error { return copyTree(tree, to, upTo(subsetBytes)) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.scrctl(ctx, cardFull, "backup"); err != nil {
		return err
	}
	if err := c.replace(ctx); err != nil {
		return err
	}
	link := fastLink()
	c.meter.SetShape(link)
	got, err := c.measure(ctx, "reprovision", "--yes")
	if err != nil {
		return err
	}
	least := float64(got.count.Down) / float64(link.Rate)
	l.add(step{
		what: "restore of 20 MB at 220 kB/s: time over bytes/bandwidth", most: mostLinkTime, ours: got.took.Seconds() / least,
		note: fmt.Sprintf("%.1f MB in %.1f s", float64(got.count.Down)/1e6, got.took.Seconds()),
	})
	return nil
}

// whole is about everything.
func whole(ctx context.Context, s settings, tree string, l *league) (err error) {
	c, err := firstBackups(ctx, s, tree, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, _, err := c.saved(ctx, l, "nothing changed, session running", mostIdleRun); err != nil {
		return err
	}
	c.meter.Drop()
	fresh, err := c.measure(ctx, "backup")
	if err != nil {
		return err
	}
	l.add(step{what: "nothing changed, session set up first", unit: "B", most: mostIdleNew, ours: float64(fresh.count.Both())})
	if err := changes(ctx, c, l); err != nil {
		return err
	}
	if err := c.idleMinute(ctx, s, l); err != nil {
		return err
	}
	return c.peaks(ctx, s, l)
}

// firstBackups saves everything for the first time, several times, in turns with
// restic; the last pair of hosts goes on with the other steps.
func firstBackups(ctx context.Context, s settings, tree string, l *league) (*scene, error) {
	var ours, theirs []time.Duration
	for i := range s.rounds {
		last := i == s.rounds-1
		names := []string{"restic"}
		if last {
			names = peerNames()
		}
		s.logf("    initial backup, %d of %d", i+1, s.rounds)
		c, err := openScene(ctx, s, l, fmt.Sprintf("whole%d", i), names, func(to string) error { return copyTree(tree, to, everything) })
		if err != nil {
			return nil, err
		}
		var row league
		our, their, err := c.saved(ctx, &row, "initial backup, everything", mostInitial)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		ours = append(ours, our.took)
		if r, there := their["restic"]; there {
			theirs = append(theirs, r.took)
		}
		if !last {
			if err := c.close(); err != nil {
				return nil, err
			}
			if err := errors.Join(os.RemoveAll(c.dir), os.RemoveAll(c.dir+".peers")); err != nil {
				return nil, err
			}
			continue
		}
		l.steps = append(l.steps, row.steps...)
		l.add(wall(ours, theirs))
		return c, nil
	}
	return nil, errors.New("cannot measure without a round")
}

// wall compares the times of the initial backups on a local link.
func wall(ours, theirs []time.Duration) step {
	st := step{what: "initial backup, local link: time over restic's", most: mostWall}
	if len(theirs) == 0 {
		st.most, st.note = 0, "restic: peer not installed"
		return st
	}
	st.ours = float64(median(ours)) / float64(median(theirs))
	st.note = fmt.Sprintf("%.1f s : %.1f s", median(ours).Seconds(), median(theirs).Seconds())
	return st
}

// changes measures incremental backups after small changes.
func changes(ctx context.Context, c *scene, l *league) error {
	for _, ch := range []struct {
		what   string
		most   float64
		change func(ctx context.Context, dir string) error
	}{
		{"1 kB edited in a 12 kB file among 10,000", mostEdit, editSmall},
		{"10 rows changed in a 20 MB SQLite file", mostRows, editRows},
		{"4 kB inserted at the front of a 10 MB text", mostFront, insertFront},
	} {
		switch err := ch.change(ctx, filepath.Join(c.dir, "phone")); {
		case errors.Is(err, errSkip):
			l.add(step{what: ch.what, unit: "B", note: err.Error()})
			continue
		case err != nil:
			return err
		}
		if err := c.settle(ctx); err != nil {
			return err
		}
		if _, _, err := c.saved(ctx, l, ch.what, ch.most); err != nil {
			return err
		}
	}
	return nil
}

// daemons of a sandbox.
func daemons() []string { return []string{"reprovisiond", "scrd"} }

// idleMinute measures what the daemons use of the processor while they are paired,
// in range and have nothing to do.
func (c *scene) idleMinute(ctx context.Context, s settings, l *league) error {
	s.logf("    idle for %s", idleMinute)
	if err := pause(ctx, 5*time.Second); err != nil {
		return err
	}
	var before, used [2]usage
	for i, name := range daemons() {
		pid, err := c.pid(name)
		if err != nil {
			return err
		}
		if before[i], err = usageOf(pid); err != nil {
			return err
		}
	}
	if err := pause(ctx, idleMinute); err != nil {
		return err
	}
	for i, name := range daemons() {
		pid, err := c.pid(name)
		if err != nil {
			return err
		}
		after, err := usageOf(pid)
		if err != nil {
			return err
		}
		used[i] = after.since(before[i])
	}
	share := func(u usage) float64 { return 100 * u.cpu.Seconds() / idleMinute.Seconds() }
	l.add(step{
		what: "idle, paired, in range: processor over 60 s, the busier daemon", unit: "%", most: mostIdleCPU,
		ours: max(share(used[0]), share(used[1])),
		note: fmt.Sprintf("device %.3f %%, reader %.3f %%", share(used[0]), share(used[1])),
	})
	return nil
}

// peaks reads what the daemons had in memory at most: for the backups so far, and
// for a restore of everything to a new device.
func (c *scene) peaks(ctx context.Context, s settings, l *league) error {
	saving, err := c.peak()
	if err != nil {
		return err
	}
	s.logf("    restore of everything")
	if err := c.replace(ctx); err != nil {
		return err
	}
	if err := c.scrctl(ctx, 0, "reprovision", "--yes"); err != nil {
		return err
	}
	restoring, err := c.peak()
	if err != nil {
		return err
	}
	all := slices.Concat(saving, restoring)
	l.add(step{
		what: "peak memory, whole tree, the larger daemon", unit: "MB", most: mostPeak, ours: slices.Max(all),
		note: fmt.Sprintf("backup: device %.0f, reader %.0f; restore: device %.0f, reader (both) %.0f", all[0], all[1], all[2], all[3]),
	})
	return nil
}

// peak of each daemon, in MB.
func (c *scene) peak() ([]float64, error) {
	var all []float64
	for _, name := range daemons() {
		pid, err := c.pid(name)
		if err != nil {
			return nil, err
		}
		n, err := peakOf(fmt.Sprint(pid))
		if err != nil {
			return nil, err
		}
		all = append(all, float64(n)/1e6)
	}
	return all, nil
}
