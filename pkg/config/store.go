package config

import (
	"fmt"
	"math"
	"regexp"
	"time"
)

// Store says how the reader keeps the sealed data of its devices.
type Store struct {
	Quota      int64    `toml:"quota"`       // bytes that one device may have; 0: an equal share of the disk
	Idle       Duration `toml:"idle"`        // for how long nobody has used the store before it is tidied
	ScrubEvery Duration `toml:"scrub_every"` // verify every stored byte that often; "0s" never
	ScrubRate  int64    `toml:"scrub_rate"`  // bytes a second
}

// Retention says which snapshots of a device are kept; see vault.Retention.
type Retention struct {
	Last    int `toml:"keep_last"`
	Daily   int `toml:"keep_daily"`
	Weekly  int `toml:"keep_weekly"`
	Monthly int `toml:"keep_monthly"`
}

// ReaderDevice is what holds for one device instead of what holds for all. It is named
// by its id, for a device chooses its own name.
type ReaderDevice struct {
	ID      string `toml:"id"`
	Quota   *int64 `toml:"quota"` // nil: as for all; so are the others
	Last    *int   `toml:"keep_last"`
	Daily   *int   `toml:"keep_daily"`
	Weekly  *int   `toml:"keep_weekly"`
	Monthly *int   `toml:"keep_monthly"`
}

// device is what the settings say of one device in particular.
func (r Reader) device(id string) ReaderDevice {
	for _, d := range r.Devices {
		if d.ID == id {
			return d
		}
	}
	return ReaderDevice{}
}

// Quota is how many bytes a device may have; 0: an equal share of the disk.
func (r Reader) Quota(device string) int64 { return or(r.device(device).Quota, r.Store.Quota) }

// RetentionOf says which snapshots of a device are kept.
func (r Reader) RetentionOf(device string) Retention {
	d, all := r.device(device), r.Retention
	return Retention{
		Last: or(d.Last, all.Last), Daily: or(d.Daily, all.Daily),
		Weekly: or(d.Weekly, all.Weekly), Monthly: or(d.Monthly, all.Monthly),
	}
}

func or[T any](own *T, all T) T {
	if own == nil {
		return all
	}
	return *own
}

// minScrubRate keeps a scrub from taking for ever: a terabyte in half a year.
const minScrubRate = 64 << 10

func (r Reader) checkStore() *Error {
	err := first(
		atLeast("store.quota", r.Store.Quota, 0),
		within("store.idle", r.Store.Idle, time.Millisecond, 24*time.Hour),
		within("store.scrub_every", r.Store.ScrubEvery, 0, 366*24*time.Hour),
		atLeast("store.scrub_rate", r.Store.ScrubRate, minScrubRate),
		checkRetention("retention", r.Retention),
	)
	if err != nil {
		return err
	}
	for i, d := range r.Devices {
		key := fmt.Sprintf("device[%d]", i)
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(d.ID) {
			return &Error{Key: key + ".id", Why: fmt.Sprintf("%q is not the id of a device: 32 hexadecimal digits, as 'scrctl reader devices' lists them", d.ID)}
		}
		if err := first(atLeast(key+".quota", r.Quota(d.ID), 0), checkRetention(key, r.RetentionOf(d.ID))); err != nil {
			return err
		}
	}
	return nil
}

func checkRetention(key string, k Retention) *Error {
	for name, n := range map[string]int{
		"keep_last": k.Last, "keep_daily": k.Daily, "keep_weekly": k.Weekly, "keep_monthly": k.Monthly,
	} {
		if n < 0 || n > math.MaxInt16 {
			return &Error{Key: key + "." + name, Why: fmt.Sprintf("%d is not within 0 and %d", n, math.MaxInt16)}
		}
	}
	return nil
}
