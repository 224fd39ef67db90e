package device

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/busapi"
)

// Between two times that the owner is asked the same, unless another agent comes.
const (
	askAgainFirst = time.Hour
	askAgainLast  = 24 * time.Hour
)

// What is proposed at step 514.
const (
	proposedEvery = 24 * time.Hour
	proposedMode  = "incremental"
)

// interviews are the questions of FIG. 5, and that of FIG. 6 about the data of an
// earlier device: they stand open for as long as the state of the device poses them,
// and not for as long as somebody waits. The answers take the same way as the calls
// that give them.
type interviews struct{ wake chan struct{} }

func newInterviews() interviews { return interviews{wake: make(chan struct{}, 1)} }

// kick has the interviewer look again at what there is to ask.
func (i interviews) kick() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// interview is one question that has been posed.
type interview struct {
	cancel context.CancelFunc
	moot   bool            // the topic was none meanwhile
	over   <-chan struct{} // closed when nobody asks any more
}

func (i *interview) ended() bool {
	select {
	case <-i.over:
		return true
	default:
		return false
	}
}

// interviewer asks what is to be asked, and takes back what is not any more.
func (d *Daemon) interviewer(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	posed := make(map[string]*interview)
	for {
		wanted := d.topics()
		for topic, one := range posed {
			if !wanted[topic] {
				one.cancel()
				one.moot = true
			}
			if one.moot && one.ended() { // an answer alone may take a while to be of effect
				delete(posed, topic)
			}
		}
		for topic := range wanted {
			if posed[topic] == nil {
				posed[topic] = d.pose(ctx, topic, &running)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.interviews.wake:
		}
	}
}

// topics are what the owner is to be asked now.
func (d *Daemon) topics() map[string]bool {
	topics := make(map[string]bool)
	if prompt := d.auto.wanted(); prompt != "" {
		topics[prompt] = true
	}
	if delete(topics, promptDecide); d.findings.offered() && d.book.current() == nil {
		topics[promptDecide] = true
	}
	return topics
}

// pose begins to ask about a topic.
func (d *Daemon) pose(ctx context.Context, topic string, running *sync.WaitGroup) *interview {
	asking, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	running.Go(func() {
		defer d.interviews.kick()
		defer close(over)
		defer cancel()
		switch topic {
		case promptConfigure:
			d.persist(asking, topic, d.askSchedule)
		case promptPair:
			d.persist(asking, topic, func(asking context.Context) error { return d.askPairing(ctx, asking) })
		case promptDecide:
			d.persist(asking, topic, func(asking context.Context) error { return d.askWhoseData(ctx, asking) })
		case promptReader:
			d.notice(topic, "A backup is due. Bring the reader near, and see that it is switched on.")
		}
	})
	return &interview{cancel: cancel, over: over}
}

// persist asks until the owner has answered, or the question is moot.
func (d *Daemon) persist(ctx context.Context, topic string, ask func(context.Context) error) {
	for pause := askAgainFirst; ; pause = min(2*pause, askAgainLast) {
		arrival := d.bus.AgentArrival()
		err := ask(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		d.log.Info("a question to the owner is open", "about", topic, "error", err)
		if !errors.Is(err, busapi.ErrNoAgent) {
			arrival = nil // answered: "not now"
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-arrival:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// askSchedule is step 514.
func (d *Daemon) askSchedule(ctx context.Context) error {
	q := busapi.AutoBackupQuestion{Every: int64(proposedEvery / time.Second), Mode: proposedMode}
	if reader, err := d.keeper.reader(); err == nil {
		q.Reader = reader.Name
	}
	s, err := d.bus.Prompter().AutoBackup(ctx, q)
	switch {
	case err != nil:
		return err
	case s.Every == 0:
		_, err = d.DisableAutoBackup(ctx)
	default:
		_, err = d.ConfigureAutoBackup(ctx, s)
	}
	return err
}

// pairTries is how often the owner may try to pair before it counts as "not now".
const pairTries = 3

// askPairing is step 522, with all of FIG. 4. A pairing that has begun goes on when the
// question is moot, for it may be the reason for that.
func (d *Daemon) askPairing(ctx, asking context.Context) error {
	var q busapi.PairingQuestion
	var err error
	for range pairTries {
		if ds := d.book.current(); ds != nil {
			q.LastBackup = ds.Header().Created.Unix()
		}
		q.Overdue = d.auto.info().OverdueSince != 0
		var address string
		if address, err = d.bus.Prompter().Pairing(asking, q); err == nil {
			if _, err = d.Pair(ctx, address, d.bus.Prompter()); err == nil {
				return nil
			}
		}
		if asking.Err() != nil || errors.Is(err, busapi.ErrNoAgent) || errors.Is(err, busapi.ErrDeclined) {
			return err
		}
		q.Retry, q.Reason = true, summary(err)
	}
	return err
}

// askWhoseData asks whether the data of an earlier device are to come here (steps 612
// to 624). Where there are several, an agent cannot say which. A restore that has begun
// goes on when the question is moot: it has taken the data over.
func (d *Daemon) askWhoseData(ctx, asking context.Context) error {
	_, err := d.Reprovision(ctx, busapi.ReprovisionRequest{}, d.bus.PrompterUntil(asking))
	if errors.Is(err, busapi.ErrInputNeeded) && !errors.Is(err, busapi.ErrNoAgent) {
		d.notice("offer", "The reader has the data of earlier devices: scrctl reprovision --from brings one's here.")
		return nil
	}
	return err
}

// notice tells the owner of something to be done.
func (d *Daemon) notice(kind, text string) {
	d.bus.Notify(busapi.Notice{Kind: kind, Level: busapi.NoticeWarning, Text: text})
}
