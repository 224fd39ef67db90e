package device

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// TestShare wants the first to come to wait for nothing, and a storm to cost half of the
// time, however long each look takes.
func TestShare(t *testing.T) {
	var s share
	s.cost(time.Minute) // the look before the first plan
	if got := s.own(); got != 0 {
		t.Errorf("%v for itself at first", got)
	}
	for away, want := range map[time.Duration]time.Duration{
		-time.Hour: shareLeast, 0: shareLeast, 10 * time.Millisecond: shareLeast, 7 * time.Second: 7 * time.Second,
		90 * time.Second: 90 * time.Second, 100 * time.Hour: shareMost,
	} {
		s.begin()
		s.cost(away)
		s.cost(0)
		if got := s.own(); got != want {
			t.Errorf("%v for itself after %v, want %v", got, away, want)
		}
	}
	s.begin()
	s.cost(20 * time.Second)
	s.cost(40 * time.Second)
	if got := s.own(); got != time.Minute {
		t.Errorf("%v for itself after those it gave way to and a look", got)
	}
}

// TestHands wants damage to be nobody's news while a restore has it in hand, and to be
// looked at again when that has ended.
func TestHands(t *testing.T) {
	again := 0
	h := newHands(func() { again++ })
	damaged := func() []detect.Finding { return []detect.Finding{{Name: "keys/a"}, {Name: "preferences/b"}} }
	first, second := new(restoreRun), new(restoreRun)
	h.hold(first, "", map[userdata.Name]bool{"preferences/b": true})
	if got := h.free(damaged()); len(got) != 1 || got[0].Name != "keys/a" {
		t.Errorf("free: %v", got)
	}
	h.hold(first, "job", map[userdata.Name]bool{"keys/a": true, "preferences/b": true})
	h.hold(second, "other", nil)
	if got := h.free(damaged()); len(got) != 0 {
		t.Errorf("free: %v", got)
	}
	if !h.job("job") || h.job("no job") {
		t.Error("does not know who goes on with what")
	}
	h.release(first)
	if got := h.free(damaged()); len(got) != 2 || h.job("job") {
		t.Errorf("free after the end: %v", got)
	}
	h.release(second)
	if again != 1 {
		t.Errorf("looked again %d times", again)
	}
}

// TestTwoReasonsToLook are one look that sees what each of the two would.
func TestTwoReasonsToLook(t *testing.T) {
	a, b := look{why: "watch", names: []userdata.Name{"keys/a"}}, look{why: "watch", names: []userdata.Name{"keys/b"}}
	many := look{why: "watch", names: make([]userdata.Name, fewNames)}
	for name, tt := range map[string]struct {
		first, second, want look
		rank                rank
	}{
		"names":    {a, b, look{why: "watch", names: []userdata.Name{"keys/a", "keys/b"}}, rankIdle},
		"many":     {a, many, look{why: "watch"}, rankIdle},
		"anywhere": {a, look{why: "scrub", urgent: true}, look{why: "scrub", urgent: true}, rankUrgent},
		"settled":  {look{why: "session", critical: true}, look{why: whySettled}, look{why: "session", critical: true}, rankUrgent},
		"deep":     {look{why: "check", deep: true, urgent: true}, a, look{why: "watch", deep: true, urgent: true}, rankUrgent},
	} {
		got := tt.first.with(tt.second)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(look{})); diff != "" || got.rank() != tt.rank {
			t.Errorf("%s: rank %d, %s", name, got.rank(), diff)
		}
	}
	w := newWishes()
	if w.take() != nil {
		t.Error("a wish that nobody had")
	}
	w.add(a)
	w.add(b)
	<-w.news
	if l := w.take(); l == nil || len(l.names) != 2 || w.take() != nil {
		t.Errorf("taken: %+v", l)
	}
}

// TestUrgentNews are those about service books and keys, named or not.
func TestUrgentNews(t *testing.T) {
	space, err := userdata.NewSpace([]userdata.Root{
		{Name: "keys", Class: userdata.Keys, Path: "/k"}, {Name: "preferences", Class: userdata.Preferences, Path: "/p"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		news news
		want bool
	}{
		"preferences":         {news{names: []userdata.Name{"preferences/a"}}, false},
		"a key too":           {news{names: []userdata.Name{"preferences/a", "keys/a"}}, true},
		"all of preferences":  {news{unnamed: []string{"preferences"}}, false},
		"all of keys":         {news{unnamed: []string{"keys"}}, true},
		"what is no root any": {news{unnamed: []string{"gone"}}, false},
	} {
		if l := tt.news.look(space); l.urgent != tt.want {
			t.Errorf("%s: urgent %v", name, l.urgent)
		}
	}
}
