package device

import (
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/watch"
)

// TestNews takes in hints and wants a look at what they name, or at everything.
func TestNews(t *testing.T) {
	space, err := userdata.NewSpace([]userdata.Root{
		{Name: "keys", Class: userdata.Keys, Path: "/keys"}, {Name: "user-data", Class: userdata.UserData, Path: "/data"},
	})
	if err != nil {
		t.Fatal(err)
	}
	started := []watch.Hint{{Root: "keys", Rescan: true}, {Root: "user-data", Rescan: true}}
	a, b := watch.Hint{Root: "keys", Names: []userdata.Name{"keys/a"}}, watch.Hint{Root: "user-data", Names: []userdata.Name{"user-data/b"}}
	many := watch.Hint{Root: "keys", Names: slices.Repeat([]userdata.Name{"keys/a"}, fewNames+1)}
	for _, c := range []struct {
		name          string
		before, hints []watch.Hint
		names         []userdata.Name // nil for everything
	}{
		{"the watch begins", nil, started, nil},
		{"one root is not watched", started[:1], []watch.Hint{a}, nil},
		{"one root is missing", append(slices.Clone(started), watch.Hint{Root: "user-data", Rescan: true}), []watch.Hint{a}, []userdata.Name{"keys/a"}},
		{"one root cannot be watched", append(slices.Clone(started), watch.Hint{Root: "user-data", Rescan: true, Blind: true}), []watch.Hint{a}, nil},
		{"no root is watched", nil, []watch.Hint{a}, nil},
		{"a name", started, []watch.Hint{a}, []userdata.Name{"keys/a"}},
		{"names in two roots", started, []watch.Hint{a, b}, []userdata.Name{"keys/a", "user-data/b"}},
		{"a root lost or events dropped", started, []watch.Hint{a, {Root: "user-data", Rescan: true}}, nil},
		{"too many names", started, []watch.Hint{many}, nil},
		{"after too many names", append(slices.Clone(started), many), []watch.Hint{b}, []userdata.Name{"user-data/b"}},
	} {
		var n news
		for _, h := range c.before {
			n.take(h)
		}
		n.look(space)
		hints := make(chan watch.Hint, len(c.hints))
		for _, h := range c.hints[1:] {
			hints <- h
		}
		if !n.gather(c.hints[0], hints) {
			t.Errorf("%s: the watch has ended", c.name)
		}
		if l := n.look(space); !slices.Equal(l.names, c.names) || l.why != "watch" || l.deep {
			t.Errorf("%s: %+v, want the names %q", c.name, l, c.names)
		}
		if l := n.look(space); l.names != nil {
			t.Errorf("%s: names are looked at twice", c.name)
		}
	}
}

func TestNewsAtTheEndOfTheWatch(t *testing.T) {
	hints := make(chan watch.Hint)
	close(hints)
	if new(news).gather(watch.Hint{Root: "keys"}, hints) {
		t.Error("the watch goes on")
	}
}

// TestFreshView: there is a look at everything from time to time, and the less often
// the longer it takes.
func TestFreshView(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		v    *view
		want bool
	}{
		{nil, false},
		{&view{}, true},
		{&view{since: now.Add(-time.Second)}, true},
		{&view{since: now.Add(-2 * time.Minute)}, false},
		{&view{since: now.Add(-2 * time.Minute), took: 5 * time.Second}, true},
		{&view{since: now.Add(-time.Hour), took: 5 * time.Second}, false},
	} {
		if got := c.v.fresh(now); got != c.want {
			t.Errorf("%+v: %v", c.v, got)
		}
	}
}

func TestDirectoryGone(t *testing.T) {
	tree := func(items ...manifest.Item) manifest.Manifest {
		m, err := manifest.New(items)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	dir, file := manifest.Item{Name: "keys/d", Type: manifest.Dir}, manifest.Item{Name: "keys/d", Type: manifest.File}
	for _, c := range []struct {
		name        string
		before, now manifest.Manifest
		want        bool
	}{
		{"stays", tree(dir), tree(dir), false},
		{"new", tree(), tree(dir), false},
		{"renamed or deleted", tree(dir), tree(), true},
		{"a file in its place", tree(dir), tree(file), true},
		{"a file deleted", tree(file), tree(), false},
	} {
		if got := directoryGone([]userdata.Name{"keys/d"}, c.before, c.now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
