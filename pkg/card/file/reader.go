package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reprovision/reprovision/pkg/card"
)

// DefaultCapacity is the size of an image, in bytes, where Config names none.
const DefaultCapacity = 1 << 20

// DefaultPoll is the time between two looks at the image where Config names none.
const DefaultPoll = 200 * time.Millisecond

// slowPoll is the time between two looks while the kernel tells of changes: it does not tell of
// a file system that is mounted over the image's directory.
const slowPoll = 5 * time.Second

// Config says where the card is.
type Config struct {
	Path     string           // the image; its directory must exist for Format
	UUID     string           // of the file system that Path is a path in, wherever that is mounted; "" if Path says all
	Links    string           // directory with a link to each block device by UUID; "" for the system's
	Mounts   string           // the mount table; "" for that of this process
	Capacity int              // bytes that an image may have, 0 for DefaultCapacity
	Poll     time.Duration    // where the kernel does not tell of changes; 0 for DefaultPoll
	Notify   func(card.Event) // called as card.Reader.Run says; may be nil
}

// Reader is the slot that the image is put into. It implements card.Reader.
type Reader struct {
	config Config
	turn   chan struct{} // holds a token while a transaction runs
}

// New makes a reader. It does not touch the file system.
func New(config Config) *Reader {
	if config.Capacity == 0 {
		config.Capacity = DefaultCapacity
	}
	if config.Poll == 0 {
		config.Poll = DefaultPoll
	}
	if config.Links == "" {
		config.Links = defaultLinks
	}
	if config.Mounts == "" {
		config.Mounts = defaultMounts
	}
	if config.Notify == nil {
		config.Notify = func(card.Event) {}
	}
	return &Reader{config: config, turn: make(chan struct{}, 1)}
}

// Run implements card.Reader. It looks when the kernel tells of something, and from time to time.
func (r *Reader) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.config.Poll)
	defer ticker.Stop()
	var guard *sentry
	defer func() { r.relieve(guard, ticker) }()
	var last card.Event
	var seen stamp
	for {
		if guard == nil {
			guard = r.post(ticker)
		}
		if at := r.stamp(); !at.known || at != seen || last.Err != nil {
			if now := r.look(); !same(now, last) {
				r.config.Notify(now)
				last = now
			}
			seen = at
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-guard.told():
		case <-guard.ended():
			r.relieve(guard, ticker)
			guard = nil
		}
	}
}

// post sets a sentry where the image is a fixed path, and has the ticker be slow; nil where
// there can be none.
func (r *Reader) post(ticker *time.Ticker) *sentry {
	if r.config.UUID != "" {
		return nil // the medium is mounted here and there
	}
	s, err := post(r.config.Path)
	if err != nil {
		return nil
	}
	ticker.Reset(max(slowPoll, r.config.Poll))
	return s
}

// relieve ends a sentry, nil for none.
func (r *Reader) relieve(s *sentry, ticker *time.Ticker) {
	if s != nil {
		s.leave()
		ticker.Reset(r.config.Poll)
	}
}

// stamp is what changes when another image is put in place, or this one is written.
type stamp struct {
	known     bool // there is a file
	dev, ino  uint64
	size      int64
	changed   int64
	changedNS int64
}

// stamp costs next to nothing, so that a reader which has nothing to do hardly does anything.
func (r *Reader) stamp() stamp {
	path, err := r.config.place()
	var st unix.Stat_t
	if err != nil || unix.Lstat(path, &st) != nil {
		return stamp{}
	}
	return stamp{true, uint64(st.Dev), st.Ino, st.Size, int64(st.Ctim.Sec), int64(st.Ctim.Nsec)} //nolint:unconvert // some are narrower on 32 bits
}

// look tells what is at the path. It takes no lock: a label never changes while
// its image is in place.
func (r *Reader) look() card.Event {
	event := card.Event{Kind: card.EventInserted, Reader: r.config.name()}
	var im *image
	path, err := r.config.place()
	if err == nil {
		im, err = openOnce(path)
	}
	if err == nil {
		defer im.close()
		err = im.readLabel()
	}
	if errors.Is(err, card.ErrNoCard) {
		event.Kind = card.EventRemoved
		return event
	}
	if event.Err = err; err == nil {
		event.Identity, event.Err = (&medium{image: im}).Identity(), im.damage
	}
	return event
}

// name is what events call the place of the image.
func (c Config) name() string {
	if c.UUID == "" {
		return c.Path
	}
	return c.UUID + ":" + c.Path
}

func same(a, b card.Event) bool {
	return a.Kind == b.Kind && a.Identity == b.Identity && fmt.Sprint(a.Err) == fmt.Sprint(b.Err)
}

// WithCard implements card.Reader. Without its medium, where it has one, it gives
// card.ErrNoCard. Without an image fn gets a Medium that gives
// card.ErrNoCard to all but Format, which creates it.
func (r *Reader) WithCard(ctx context.Context, fn func(context.Context, card.Medium) error) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return fmt.Errorf("cannot use card image: %w: %w", card.ErrBusy, ctx.Err())
	}
	path, err := r.config.place()
	if err != nil {
		return fmt.Errorf("cannot use card image: %w", err)
	}
	m := &medium{path: path, capacity: r.config.Capacity}
	im, err := openImage(ctx, path)
	switch {
	case err == nil:
		m.image = im
	case !errors.Is(err, card.ErrNoCard):
		return fmt.Errorf("cannot use card image: %w", err)
	}
	defer func() { m.image.close() }() // Format may have exchanged it
	return fn(ctx, m)
}

var _ card.Reader = (*Reader)(nil)
