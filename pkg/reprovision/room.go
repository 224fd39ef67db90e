package reprovision

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// room is what a run knows of the space in the quarantine. It is measured once,
// when the run first needs some, and kept up to date from then on: a walk
// through everything kept, for each item, would take longer than the restore.
type room struct {
	own    int64     // bytes of the run itself
	others []keptRun // the other runs, oldest first
}

// keptRun is one run's directory in the quarantine.
type keptRun struct {
	name  string
	when  time.Time
	bytes int64
}

// makeRoom drops other runs, the oldest first, while there is no room for need
// bytes. It drops none where that would not be enough; mu is held.
func (r *Run) makeRoom(need int64) error {
	if err := r.measure(); err != nil {
		return err
	}
	if r.room.own+need > r.q.Max {
		return fmt.Errorf("%w: %d bytes needed, %d of %d in use by this run", ErrQuarantineFull, need, r.room.own, r.q.Max)
	}
	used := r.room.own
	for _, o := range r.room.others {
		used += o.bytes
	}
	for used+need > r.q.Max {
		oldest := r.room.others[0]
		if err := r.q.drop(oldest); err != nil {
			return err
		}
		used -= oldest.bytes
		r.room.others = r.room.others[1:]
	}
	return nil
}

// measure drops the runs that are past their time and learns how much the rest
// take, unless that is known.
func (r *Run) measure() error {
	if r.room != nil {
		return nil
	}
	kept, err := r.q.expire(r.name)
	if err != nil {
		return err
	}
	var seen room
	for _, k := range kept {
		if k.bytes, err = treeBytes(filepath.Join(r.q.Dir, k.name)); err != nil {
			return fmt.Errorf("cannot measure the quarantine: %w", err)
		}
		if k.name == r.name {
			seen.own = k.bytes
			continue
		}
		seen.others = append(seen.others, k)
	}
	r.room = &seen
	return nil
}

// Expire drops the runs that are past their time.
func (q Quarantine) Expire() error {
	_, err := q.expire("")
	return err
}

// expire drops the runs that are past their time, but for the one in use, and
// lists those that stay.
func (q Quarantine) expire(inUse string) ([]keptRun, error) {
	runs, err := q.runs()
	if err != nil || q.Keep == 0 {
		return runs, err
	}
	var kept []keptRun
	for _, k := range runs {
		if k.name == inUse || q.Now().Sub(k.when) <= q.Keep {
			kept = append(kept, k)
		} else if err := q.drop(k); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func (q Quarantine) drop(k keptRun) error {
	if err := os.RemoveAll(filepath.Join(q.Dir, k.name)); err != nil {
		return fmt.Errorf("cannot drop an old quarantine: %w", err)
	}
	return nil
}

// runs lists the runs, oldest first, without their sizes.
func (q Quarantine) runs() ([]keptRun, error) {
	entries, err := os.ReadDir(q.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the quarantine: %w", err)
	}
	var runs []keptRun
	for _, e := range entries {
		when, err := time.Parse(stampLayout, e.Name())
		if err != nil {
			continue // not ours
		}
		runs = append(runs, keptRun{name: e.Name(), when: when})
	}
	slices.SortFunc(runs, func(a, b keptRun) int { return cmp.Compare(a.name, b.name) })
	return runs, nil
}

// treeBytes sums up the files below dir. What vanishes meanwhile takes no room.
func treeBytes(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				sum += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return sum, err
}
