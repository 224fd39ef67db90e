package cli

import (
	"fmt"
	"time"
)

// size writes a number of bytes as people read it: "1.2 MB".
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		v /= 1000
		if v < 999.95 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f TB", v/1000)
}

// age writes how long ago something was.
func age(d time.Duration) string {
	switch {
	case d < 5*time.Second: // or a clock that was set back
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// since is the age of a moment in seconds since the epoch; 0 is never.
func (a *app) since(epoch int64) string {
	if epoch == 0 {
		return "never"
	}
	return age(a.now().Sub(time.Unix(epoch, 0)))
}

// count writes a number with its noun: "1 item", "2 items".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
