package device

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fxamacker/cbor/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/reprovision"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// jobPrefix starts the keys of unfinished reprovisions; the name of the
// quarantine's run follows.
const jobPrefix = "job/"

// jobRecord is an unfinished reprovision: enough to go on with just what it was
// to do, and with nothing that somebody has done since.
type jobRecord struct {
	Snapshot  vault.SnapshotID `cbor:"1,keyasint"`
	Items     []jobItem        `cbor:"2,keyasint"`
	Damage    bool             `cbor:"3,keyasint"`
	Overwrite bool             `cbor:"4,keyasint"`
	Owed      []userdata.Class `cbor:"5,keyasint"` // classes whose hooks have yet to run
	Run       string           `cbor:"6,keyasint"` // of the quarantine
	// Rest says that the items are those of the critical part, and that all of the others
	// are to be restored after them.
	Rest bool `cbor:"7,keyasint,omitempty"`
}

// jobItem is one item and how it was observed when the job was planned.
type jobItem struct {
	Name   userdata.Name    `cbor:"1,keyasint"`
	Before scan.Observation `cbor:"2,keyasint"`
	Known  bool             `cbor:"3,keyasint"`
	Absent bool             `cbor:"4,keyasint"`
	// Looks tells what has no Before: a directory or a symlink.
	Looks string `cbor:"5,keyasint"`
}

// looks is what a directory or symlink is known by; empty for the rest.
func looks(seen sight, n userdata.Name) string {
	it, there := seen.now.Manifest.Find(n)
	if !there || it.Type == manifest.File {
		return ""
	}
	return fmt.Sprintf("%s %o %d:%d %s", it.Type, it.Mode, it.UID, it.GID, it.Target)
}

func (j jobRecord) names() map[userdata.Name]bool {
	set := make(map[userdata.Name]bool, len(j.Items))
	for _, it := range j.Items {
		set[it.Name] = true
	}
	return set
}

// still tells whether an action of a new plan is one of the old: damage lies
// there, or just what lay there when the job was planned.
func (j jobRecord) still(a reprovision.Action, looks string, damaged bool) bool {
	for _, it := range j.Items {
		if it.Name != a.Want.Name {
			continue
		}
		switch {
		case damaged:
			return true
		case it.Known || a.Known:
			return it.Known && a.Known && it.Before == a.Before
		}
		return it.Absent == a.Absent && it.Looks == looks
	}
	// A directory that an item of the job needs may have gone since.
	return a.Absent && a.Want.Type == manifest.Dir
}

func (s *state) storeJob(j jobRecord) error { return s.store(jobPrefix+j.Run, j) }

func (s *state) dropJob(run string) error { return s.drop(jobPrefix + run) }

// packsOf is where the packs of a job lie until it is done.
func (d *Daemon) packsOf(run string) string { return filepath.Join(d.cfg.StateDir, packsDir, run) }

const packsDir = "restore"

// dropOldPacks removes the packs that no unfinished job has a use for.
func (d *Daemon) dropOldPacks() {
	entries, err := os.ReadDir(filepath.Join(d.cfg.StateDir, packsDir))
	if err != nil {
		return // there are none
	}
	for _, e := range entries {
		if live, err := d.state.hasJob(e.Name()); live || err != nil {
			continue
		}
		if err := os.RemoveAll(d.packsOf(e.Name())); err != nil {
			d.log.Warn("the packs of an old reprovision stay", "error", err)
		}
	}
}

func (s *state) hasJob(run string) (bool, error) {
	raw, err := s.get(jobPrefix + run)
	return raw != nil, err
}

// jobs lists the unfinished reprovisions, the oldest first. A record that cannot
// be read is nothing to go on with: it is named with its key alone.
func (s *state) jobs() ([]jobRecord, error) {
	var out []jobRecord
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(stateBucket()).ForEach(func(k, v []byte) error {
			if !strings.HasPrefix(string(k), jobPrefix) {
				return nil
			}
			var j jobRecord
			if err := cbor.Unmarshal(v, &j); err != nil {
				j = jobRecord{}
			}
			j.Run = strings.TrimPrefix(string(k), jobPrefix)
			out = append(out, j)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the unfinished reprovisions: %w", err)
	}
	return out, nil
}
