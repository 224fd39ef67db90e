package reader

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/session"
	"github.com/reprovision/reprovision/pkg/vault"
)

// used is how much the vaults of each device hold.
func (d *Daemon) used() (map[string]vault.Usage, error) {
	records, err := readable(d.store, d.log)
	if err != nil {
		return nil, err
	}
	all := make(map[string]vault.Usage)
	for _, r := range records {
		u, err := d.store.Usage(r.ID)
		if err != nil {
			return nil, err
		}
		sum := all[r.Owner]
		all[r.Owner] = vault.Usage{Blobs: sum.Blobs + u.Blobs, Bytes: sum.Bytes + u.Bytes}
	}
	return all, nil
}

// extraShare is which part of its share of the free room a device may have at once that has
// more than its share already.
const extraShare = 4

// quota is how many bytes a device may have by its next commit. Where the settings leave it
// open, what there is room for is divided by one more than the devices are that are paired
// or have data here: so the next device finds room, however much the others took. A device
// that had more before others came keeps it, and may add a part of what is free: what it saves
// now and then is little, and never refused as long as there is room.
func (d *Daemon) quota(device string, used map[string]vault.Usage) (int64, error) {
	if q := d.cfg.Quota(device); q > 0 {
		return q, nil
	}
	free, err := d.free()
	if err != nil {
		return 0, fmt.Errorf("cannot tell how much room there is: %w", err)
	}
	room := free
	devices := make(map[string]bool)
	for owner, u := range used {
		devices[owner] = true
		room += u.Bytes
	}
	peers, err := d.keys.Peers()
	if err != nil {
		return 0, err
	}
	for _, p := range peers {
		devices[p.ID] = true
	}
	shares := int64(len(devices) + 1)
	return max(room/shares, used[device].Bytes+free/shares/extraShare), nil
}

// freeSpace is the room that is left on the disk of a directory, in bytes.
func freeSpace(dir string) (int64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return int64(fs.Bavail) * int64(fs.Bsize), err
}

// admit refuses bytes that would take a device beyond its quota. What that is, is decided
// when an upload into the vault begins: it does not grow with what the upload brings.
func (d *Daemon) admit(device string, id vault.VaultID, bytes int64) error {
	used, err := d.used()
	if err != nil {
		return err
	}
	limit, err := d.quota(device, used)
	if err != nil {
		return err
	}
	limit = d.uses.limit(id, limit)
	if have := used[device].Bytes; have+bytes > limit {
		return fmt.Errorf("%w: %.1f MB of %.1f MB are in use, and %.1f MB more are too many",
			session.ErrOverQuota, megabytes(have), megabytes(limit), megabytes(bytes))
	}
	return nil
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

// usageOf is a device's part of the store for people.
func (d *Daemon) usageOf(device string, used map[string]vault.Usage) (busapi.UsageInfo, error) {
	limit, err := d.quota(device, used)
	u := busapi.UsageInfo{Used: used[device].Bytes, Blobs: used[device].Blobs, Quota: limit}
	return u, err
}
