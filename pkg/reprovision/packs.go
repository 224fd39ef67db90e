package reprovision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/reprovision/reprovision/pkg/vault"
)

// Open unseals and unpacks one blob; it fails on anything that is not what the
// device sealed.
type Open func(id vault.BlobID, sealed []byte) (plain []byte, err error)

// plainPacks is how many opened packs stay in memory. Items are restored in the
// order in which they were packed, so few are in use at a time.
const plainPacks = 4

// PackCache keeps the sealed packs of one reprovision on disk until no item
// needs them any more, so that what was fetched is not fetched again after an
// interruption. It holds those of the item under way, those that later items need
// again, and no more than some that are fetched ahead: it needs no room for the whole
// restore. One goroutine calls Fill while another calls Pack.
type PackCache struct {
	dir     string
	open    Open
	most    int64           // bytes to be fetched ahead of their use
	giveWay <-chan struct{} // ends waiting in Pack; belongs to its caller

	mu     sync.Mutex
	have   map[vault.BlobID]bool
	size   map[vault.BlobID]int64 // of those on disk that nobody has asked for yet
	ahead  int64                  // their sum
	asking int                    // callers of Pack that wait
	uses   map[vault.BlobID]int
	plain  map[vault.BlobID][]byte
	bad    map[vault.BlobID]error // what does not open, or the reader cannot give
	recent []vault.BlobID
	done   error         // why no more packs come; nil while they may
	signal chan struct{} // closed and replaced at each change
	want   chan struct{} // holds a token when Fill may go on
}

// ErrPackMissing means that the reader did not give a pack that it has said to
// have.
var ErrPackMissing = errors.New("the reader did not send a pack")

// NewPackCache opens the cache in dir, which is made if need be. uses says how
// many items need each pack.
func NewPackCache(dir string, open Open, uses map[vault.BlobID]int) (*PackCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the pack cache: %w", err)
	}
	room, err := roomAhead(dir)
	if err != nil {
		return nil, err
	}
	c := &PackCache{
		dir: dir, open: open, most: room, uses: uses, size: make(map[vault.BlobID]int64),
		have: make(map[vault.BlobID]bool), plain: make(map[vault.BlobID][]byte), bad: make(map[vault.BlobID]error),
		signal: make(chan struct{}), want: make(chan struct{}, 1),
	}
	for id := range uses {
		if info, err := os.Stat(c.path(id)); err == nil {
			c.stored(id, info.Size())
		}
	}
	return c, nil
}

func (c *PackCache) path(id vault.BlobID) string { return filepath.Join(c.dir, id.String()) }

func (c *PackCache) finish(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = why
	c.wake()
}

// wake tells all waiting callers to look again; mu is held.
func (c *PackCache) wake() {
	close(c.signal)
	c.signal = make(chan struct{})
}

// put stores a pack that opens, as soon as there is room for it, or when the restore ends
// before that: what has come is not sent again. One that does not open never reaches the
// disk, and costs only the items that need it.
func (c *PackCache) put(ctx context.Context, id vault.BlobID, sealed []byte) error {
	plain, err := c.open(id, sealed)
	if err != nil {
		c.spoil(id, err)
		return nil
	}
	if err := c.mayGoAhead(ctx); err != nil {
		return errors.Join(err, c.store(id, sealed, plain))
	}
	return c.store(id, sealed, plain)
}

func (c *PackCache) store(id vault.BlobID, sealed, plain []byte) error {
	if err := renameio.WriteFile(c.path(id), sealed, 0o600); err != nil {
		return fmt.Errorf("cannot keep a pack: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stored(id, int64(len(sealed)))
	c.remember(id, plain)
	c.wake()
	return nil
}

// stored notes that a pack is on disk; mu is held, or nobody else knows the cache.
func (c *PackCache) stored(id vault.BlobID, size int64) {
	if c.have[id] {
		return
	}
	c.have[id], c.size[id] = true, size
	c.ahead += size
}

// asked notes that a pack is not ahead of its use any more; mu is held.
func (c *PackCache) asked(id vault.BlobID) {
	if size, ahead := c.size[id]; ahead {
		delete(c.size, id)
		c.ahead -= size
		c.wanted()
	}
}

// remember keeps an opened pack among the most recent; mu is held.
func (c *PackCache) remember(id vault.BlobID, plain []byte) {
	if _, known := c.plain[id]; !known {
		c.recent = append(c.recent, id)
	}
	c.plain[id] = plain
	for len(c.recent) > plainPacks {
		delete(c.plain, c.recent[0])
		c.recent = c.recent[1:]
	}
}

// Pack returns an opened pack; it waits until the pack is there.
func (c *PackCache) Pack(ctx context.Context, id vault.BlobID) ([]byte, error) {
	for {
		c.mu.Lock()
		c.asked(id)
		plain, have, bad, done, signal := c.plain[id], c.have[id], c.bad[id], c.done, c.signal
		c.mu.Unlock()
		switch {
		case bad != nil:
			return nil, bad
		case plain != nil:
			return plain, nil
		case have:
			return c.load(id)
		case done != nil:
			return nil, done
		}
		if err := c.await(ctx, signal); err != nil {
			return nil, err
		}
	}
}

// await waits for news, and lets Fill go on meanwhile whatever there is ahead: what is
// waited for may come after it.
func (c *PackCache) await(ctx context.Context, signal <-chan struct{}) error {
	c.ask(+1)
	defer c.ask(-1)
	select {
	case <-signal:
		return nil
	case <-c.giveWay:
		return errGiveWay()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *PackCache) ask(more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking += more
	c.wanted()
}

// load opens a pack from disk. A damaged one is forgotten, so that the next
// attempt fetches it anew.
func (c *PackCache) load(id vault.BlobID) ([]byte, error) {
	sealed, err := os.ReadFile(c.path(id))
	if err == nil {
		var plain []byte
		if plain, err = c.open(id, sealed); err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.remember(id, plain)
			return plain, nil
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked(id)
	delete(c.have, id)
	return nil, errors.Join(fmt.Errorf("cannot use a fetched pack: %w", err), os.Remove(c.path(id)))
}

// Release says that an item is done with its packs. What nobody needs any more
// leaves the disk.
func (c *PackCache) Release(ids []vault.BlobID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.uses[id]--
		if c.uses[id] > 0 || !c.have[id] {
			continue
		}
		c.asked(id)
		delete(c.have, id)
		delete(c.plain, id)
		if err := os.Remove(c.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot drop a pack: %w", err)
		}
	}
	return nil
}

// Discard removes the cache with all that is in it.
func (c *PackCache) Discard() error { return os.RemoveAll(c.dir) }
