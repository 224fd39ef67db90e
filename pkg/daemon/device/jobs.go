package device

import (
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"
	bolt "go.etcd.io/bbolt"

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
}

// jobItem is one item and how it was observed when the job was planned.
type jobItem struct {
	Name   userdata.Name    `cbor:"1,keyasint"`
	Before scan.Observation `cbor:"2,keyasint"`
	Known  bool             `cbor:"3,keyasint"`
}

func (j jobRecord) names() map[userdata.Name]bool {
	set := make(map[userdata.Name]bool, len(j.Items))
	for _, it := range j.Items {
		set[it.Name] = true
	}
	return set
}

// still tells whether an action of a new plan is one of the old: nothing lies
// there, or damage, or just what lay there when the job was planned.
func (j jobRecord) still(a reprovision.Action, damaged bool) bool {
	if a.Absent || damaged {
		return true
	}
	for _, it := range j.Items {
		if it.Name == a.Want.Name {
			return it.Known && a.Known && it.Before == a.Before
		}
	}
	return false
}

func (s *state) storeJob(j jobRecord) error { return s.store(jobPrefix+j.Run, j) }

func (s *state) dropJob(run string) error { return s.drop(jobPrefix + run) }

// jobs lists the unfinished reprovisions, the oldest first.
func (s *state) jobs() ([]jobRecord, error) {
	var out []jobRecord
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(stateBucket()).ForEach(func(k, v []byte) error {
			if !strings.HasPrefix(string(k), jobPrefix) {
				return nil
			}
			var j jobRecord
			if err := cbor.Unmarshal(v, &j); err != nil {
				return fmt.Errorf("job %q: %w", k, err)
			}
			out = append(out, j)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the unfinished reprovisions: %w", err)
	}
	return out, nil
}
