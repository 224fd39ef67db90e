package busapi

import (
	"slices"
	"sync"
	"time"
)

// The kinds of questions, as the status names them.
const (
	QuestionPairingPasscode = "pairing-passcode" // step 420
	QuestionCardPIN         = "card-pin"         // step 618
	QuestionPasscode        = "passcode"         // step 618
	QuestionNewPasscode     = "new-passcode"     // for step 616
	QuestionReprovision     = "reprovision"      // step 622
	QuestionAutoBackup      = "autobackup"       // step 514
	QuestionPairing         = "pairing"          // step 522
)

// QuestionInfo is a question to the owner that is open. It holds nothing of what
// was asked about, for everybody may read the status.
type QuestionInfo struct {
	Kind   string `json:"kind"`   // one of the Question constants
	Waited int64  `json:"waited"` // seconds since it was first asked
	Agent  bool   `json:"agent"`  // an agent has it; false: none is there that could answer
}

// question is one that is open.
type question struct {
	kind  string
	since time.Time
	asked bool // by an agent, now
}

// questions are the open ones, oldest first.
type questions struct {
	now     func() time.Time
	changed func() // called, without the lock, when the list is another

	mu   sync.Mutex
	open []*question
}

// ask opens a question; done closes it.
func (q *questions) ask(kind string) (one *question, done func()) {
	one = &question{kind: kind, since: q.now()}
	q.mu.Lock()
	q.open = append(q.open, one)
	q.mu.Unlock()
	q.changed()
	return one, func() {
		q.mu.Lock()
		q.open = slices.DeleteFunc(q.open, func(o *question) bool { return o == one })
		q.mu.Unlock()
		q.changed()
	}
}

// hand notes that an agent has a question, or has it no more.
func (q *questions) hand(one *question, asked bool) {
	q.mu.Lock()
	one.asked = asked
	q.mu.Unlock()
	q.changed()
}

func (q *questions) list() []QuestionInfo {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]QuestionInfo, 0, len(q.open))
	for _, o := range q.open {
		waited := max(0, int64(q.now().Sub(o.since)/time.Second))
		out = append(out, QuestionInfo{Kind: o.kind, Waited: waited, Agent: o.asked})
	}
	return out
}

// questionKinds are the kinds of some questions, for the property.
func questionKinds(list []QuestionInfo) []string {
	out := make([]string, 0, len(list))
	for _, q := range list {
		out = append(out, toBus(q.Kind))
	}
	return out
}
