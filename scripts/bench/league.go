package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// figure is how one step came out for one program: bytes on the link, or seconds,
// or what else the step is measured in.
type figure struct {
	value float64
	known bool
}

// step is a row of the league: what was done, what it cost us, and the most that it may.
type step struct {
	what  string
	unit  string // "B", "s", "MB", "%", or "" for a ratio
	most  float64
	ours  float64
	peers map[string]figure
	note  string
}

func (s step) missed() bool { return s.most > 0 && s.ours > s.most }

// league is the table with the peers beside us.
type league struct {
	tree  string
	steps []step
	away  map[string]string // peers that are not there, and why
}

func (l *league) add(s step) { l.steps = append(l.steps, s) }

func (l *league) missed() bool {
	for _, s := range l.steps {
		if s.missed() {
			return true
		}
	}
	return false
}

// rivals are the peers that are installed, each with a far end of its own for one
// directory.
type rivals map[string]peer

// startRivals prepares them; it notes who is missing.
func startRivals(ctx context.Context, s settings, l *league, dir, from string, names ...string) (rivals, error) {
	all := make(rivals)
	for _, name := range names {
		p, err := newPeer(ctx, name, filepath.Join(s.dir, dir, name), from)
		switch {
		case errors.Is(err, errSkip):
			l.away[name] = "peer not installed"
		case err != nil:
			return all, errors.Join(fmt.Errorf("cannot prepare %s: %w", name, err), all.close())
		default:
			all[name] = p
		}
	}
	return all, nil
}

func (r rivals) close() error {
	var all error
	for _, p := range r {
		all = errors.Join(all, p.close())
	}
	return all
}

// each lets every peer do the same and returns what it cost.
func (r rivals) each(do func(peer) (spentOn, error)) (map[string]spentOn, error) {
	cost := make(map[string]spentOn)
	for _, name := range peerNames() {
		if r[name] == nil {
			continue
		}
		c, err := do(r[name])
		if err != nil {
			return nil, fmt.Errorf("cannot measure %s: %w", name, err)
		}
		cost[name] = c
	}
	return cost, nil
}

// bytesOf and secondsOf are the columns of a step.
func bytesOf(cost map[string]spentOn) map[string]figure {
	out := make(map[string]figure)
	for name, c := range cost {
		out[name] = figure{float64(c.count.Both()), true}
	}
	return out
}

func secondsOf(cost map[string]spentOn) map[string]figure {
	out := make(map[string]figure)
	for name, c := range cost {
		out[name] = figure{c.took.Seconds(), true}
	}
	return out
}
