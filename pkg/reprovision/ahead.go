package reprovision

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// What is fetched ahead of its use: half a minute of a radio link, so that the link is busy
// while the medium is; and no more than a part of the room that there is.
const (
	aheadMost  = 8 << 20
	aheadShare = 8
)

// roomAhead tells how many bytes may be fetched ahead into a directory. Where there is hardly
// room, packs come one at a time, each when it is needed.
func roomAhead(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("cannot tell how much room there is for packs: %w", err)
	}
	if fs.Bavail > aheadMost*aheadShare/uint64(fs.Bsize) { // #nosec G115 -- block sizes are positive
		return aheadMost, nil
	}
	return int64(fs.Bavail) * fs.Bsize / aheadShare, nil // #nosec G115 -- less than aheadMost
}

// mayGoAhead waits until another pack may be stored: while less is ahead than may be, or
// somebody waits for one.
func (c *PackCache) mayGoAhead(ctx context.Context) error {
	for {
		c.mu.Lock()
		may := c.ahead < c.most || c.asking > 0
		c.mu.Unlock()
		if may {
			return nil
		}
		select {
		case <-c.want:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wanted lets Fill look whether it may go on; mu is held.
func (c *PackCache) wanted() {
	select {
	case c.want <- struct{}{}:
	default:
	}
}
