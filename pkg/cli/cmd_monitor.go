package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/reprovision/reprovision/pkg/busapi"
)

func (a *app) monitorCommand() *cobra.Command {
	return a.command("monitor", "Print events of both daemons, one JSON object a line, until interrupted", "follow events", cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return a.monitor(ctx) })
}

type followFunc func(context.Context, func(string) string, busapi.Follower) error

// monitor follows both daemons. It goes on as long as one of them can be
// followed, and outlives their restarts.
func (a *app) monitor(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := &monitor{app: a, stop: cancel}
	sides := []struct {
		name   string
		follow followFunc
	}{{sideDevice, busapi.FollowDevice}, {sideReader, busapi.FollowReader}}
	errs := make(chan error, len(sides))
	for _, side := range sides {
		go func() {
			err := side.follow(ctx, a.env, m.follower(side.name))
			if err != nil {
				m.say("cannot follow the %s: %s", side.name, printable(err.Error()))
			}
			errs <- err
		}()
	}
	first, second := <-errs, <-errs
	switch {
	case m.failed != nil:
		return m.failed
	case first != nil && second != nil:
		return first
	}
	return nil
}

// monitor writes for two followers at once.
type monitor struct {
	*app
	mu     sync.Mutex
	stop   context.CancelCauseFunc
	failed error // the output cannot be written
}

func (m *monitor) follower(side string) busapi.Follower {
	return busapi.Follower{
		Event: m.event,
		Running: func(yes bool) {
			if yes {
				m.say("following the %s's daemon", side)
			} else {
				m.say("the %s's daemon is not running; waiting for it", side)
			}
		},
	}
}

func (m *monitor) say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(format, args...)
}

func (m *monitor) event(e busapi.Event) {
	line, err := eventLine(e)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		_, err = m.out.Write(line)
	}
	if err != nil && m.failed == nil {
		m.failed = fmt.Errorf("cannot write an event: %w", err)
		m.stop(m.failed)
	}
}

// eventLine is an event as one line: time, side and event first, then its
// fields in the order of their names.
func eventLine(e busapi.Event) ([]byte, error) {
	var line bytes.Buffer
	put := func(name string, value any) error {
		separator := ","
		if line.Len() == 0 {
			separator = "{"
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("cannot write field %s: %w", name, err)
		}
		fmt.Fprintf(&line, "%s%s:%s", separator, key, text)
		return nil
	}
	fields := map[string]any{"time": e.Time, "side": e.Side, "event": e.Event}
	names := append([]string{"time", "side", "event"}, slices.Sorted(maps.Keys(e.Fields))...)
	for i, name := range names {
		value := e.Fields[name]
		if i < len(fields) {
			value = fields[name]
		}
		if err := put(name, value); err != nil {
			return nil, err
		}
	}
	line.WriteString("}\n")
	return line.Bytes(), nil
}
