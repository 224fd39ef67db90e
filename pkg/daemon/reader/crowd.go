package reader

import (
	"fmt"

	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// What a quota does not count is bounded here: the reader cannot read a snapshot's header,
// so a device could commit made-up ones, and make vaults, until no other one has room.
const (
	// maxVaults is how many vaults a device may make. It needs one, and another where it
	// begins anew.
	maxVaults = 16
	// crowd is how many snapshots of a vault wait for the store to be tidied.
	crowd = 64
	// recordRoom is how many bytes the records of a vault's snapshots may take, beside a
	// recordShare-th of the quota.
	recordRoom  = 16 << 20
	recordShare = 32
)

// mayCreate refuses a vault to a device that has many.
func (d *Daemon) mayCreate(device string) error {
	records, err := readable(d.store, d.log)
	if err != nil {
		return err
	}
	have := 0
	for _, r := range records {
		if r.Owner == device {
			have++
		}
	}
	if have >= maxVaults {
		return fmt.Errorf("%w: it has %d vaults", session.ErrOverQuota, have)
	}
	return nil
}

// mayCommit refuses a commit whose record has no room. Where many snapshots are there, those
// that no rule keeps are removed first: a device that commits without a pause never lets
// the store be tidied.
func (d *Daemon) mayCommit(r vault.Record, c session.Commit) error {
	list, err := d.snapshots(r.ID)
	if err != nil {
		return err
	}
	limit, err := d.recordLimit(r)
	if err != nil {
		return err
	}
	// What is added comes to what the head names.
	more := int64(len(c.Header)) + idBytes(len(c.Add)+len(c.Critical)+len(c.Books))
	if len(list) > 0 {
		more += idBytes(len(list[0].Blobs))
	}
	if len(list) < crowd && recordBytes(list)+more <= limit {
		return nil
	}
	if err := d.retain(r); err != nil {
		return err
	}
	if list, err = d.snapshots(r.ID); err != nil {
		return err
	}
	if have := recordBytes(list); have+more > limit {
		return fmt.Errorf("%w: %d snapshots take %.1f MB, and %.1f MB more are too many",
			session.ErrOverQuota, len(list), megabytes(have), megabytes(more))
	}
	return nil
}

func (d *Daemon) recordLimit(r vault.Record) (int64, error) {
	used, err := d.used()
	if err != nil {
		return 0, err
	}
	quota, err := d.quota(r.Owner, used)
	return recordRoom + quota/recordShare, err
}

// recordBytes is about what the records of snapshots take in the store.
func recordBytes(list []vault.SnapshotRecord) (n int64) {
	for _, s := range list {
		n += int64(len(s.Header)) + idBytes(len(s.Blobs)+len(s.Critical)+len(s.Books))
	}
	return n
}

func idBytes(ids int) int64 { return int64(ids) * int64(len(vault.BlobID{})) }
