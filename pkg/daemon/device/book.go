package device

import (
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/reprovision/reprovision/pkg/detect"
	"github.com/reprovision/reprovision/pkg/manifest"
	"github.com/reprovision/reprovision/pkg/scan"
	"github.com/reprovision/reprovision/pkg/userdata"
	"github.com/reprovision/reprovision/pkg/vault"
)

// book is what the device holds to be true of its user-data space: the last
// good data set, how its files were observed when last intact, and which
// losses the owner means. It is safe for concurrent use.
type book struct {
	state *state

	mu        sync.Mutex
	dataSet   *vault.DataSet // nil before the first backup
	seen      scan.Cache     // last intact
	last      scan.Cache     // of the last scan, so that it need not read all again
	forgotten map[userdata.Name]bool
}

func openBook(st *state) (*book, error) {
	b := &book{state: st, forgotten: make(map[userdata.Name]bool)}
	var err error
	if b.dataSet, err = st.dataSet(keyReference); err != nil {
		return nil, err
	}
	if b.seen, err = st.seen(); err != nil {
		return nil, err
	}
	b.last = b.seen
	var names []userdata.Name
	if _, err := st.load(keyForgotten, &names); err != nil {
		return nil, err
	}
	for _, n := range names {
		b.forgotten[n] = true
	}
	return b, nil
}

// reference is what to judge a scan by.
func (b *book) reference() detect.Reference {
	b.mu.Lock()
	defer b.mu.Unlock()
	ref := detect.Reference{Seen: b.seen, Forgotten: b.isForgotten}
	if b.dataSet != nil {
		ref.Manifest = b.dataSet.Manifest()
	}
	return ref
}

// current is the last good data set; nil before the first backup.
func (b *book) current() *vault.DataSet {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dataSet
}

// cache is what the next scan need not read again.
func (b *book) cache() scan.Cache {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// observe takes note of a scan of the whole space and its judgement: what was
// found intact or changed is from now on known as it was seen, what is damaged
// or cannot be judged stays known as it was.
func (b *book) observe(now scan.Result, report detect.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var bad []userdata.Name
	for _, f := range report.Findings {
		if f.Verdict.Damage() || f.Verdict == detect.Unavailable {
			bad = append(bad, f.Name)
		}
	}
	b.last = now.Cache
	b.seen = now.Cache.With(b.seen, bad)
}

// restored takes note of items that were written and read back.
func (b *book) restored(names []userdata.Name, found scan.Cache) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = b.last.With(found, names)
	b.seen = b.seen.With(found, names)
}

// adopt makes a data set the reference, together with what has to change with
// it in one transaction. The names in done are forgotten no longer.
func (b *book) adopt(ds *vault.DataSet, also map[string][]byte, done []userdata.Name) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	values := make(map[string][]byte, len(also)+3)
	for k, v := range also {
		values[k] = v
	}
	left := b.forgottenWithout(done)
	var err error
	if values[keyReference], err = ds.Encode(); err != nil {
		return err
	}
	if values[keySeen], err = b.seen.Marshal(); err != nil {
		return err
	}
	if values[keyForgotten], err = encodeNames(left); err != nil {
		return err
	}
	if err := b.state.put(values); err != nil {
		return err
	}
	b.dataSet, b.forgotten = ds, left
	return nil
}

func (b *book) forgottenWithout(done []userdata.Name) map[userdata.Name]bool {
	left := make(map[userdata.Name]bool)
	for n := range b.forgotten {
		left[n] = true
	}
	for _, n := range done {
		delete(left, n)
	}
	return left
}

// forget marks items whose loss or change the owner means, with all that lies
// below them, and returns how many items of the reference that are.
func (b *book) forget(names []userdata.Name) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dataSet == nil {
		return 0, nil
	}
	marks, count := b.marks(b.dataSet.Manifest(), names)
	raw, err := encodeNames(marks)
	if err != nil {
		return 0, err
	}
	if err := b.state.put(map[string][]byte{keyForgotten: raw}); err != nil {
		return 0, err
	}
	b.forgotten = marks
	return count, nil
}

func (b *book) marks(m manifest.Manifest, names []userdata.Name) (map[userdata.Name]bool, int64) {
	marks, count := b.forgottenWithout(nil), int64(0)
	for _, it := range m.Items() {
		for _, n := range names {
			if it.Name.Below(n) {
				marks[it.Name] = true
				count++
				break
			}
		}
	}
	return marks, count
}

func (b *book) isForgotten(n userdata.Name) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forgotten[n]
}

// settled lists the forgotten names that a data set has caught up with: it no
// longer has them, or has them as they are now.
func (b *book) settled(ds *vault.DataSet, report detect.Report) []userdata.Name {
	b.mu.Lock()
	defer b.mu.Unlock()
	touched := make(map[userdata.Name]bool, len(report.Findings))
	for _, f := range report.Findings {
		touched[f.Name] = true
	}
	var done []userdata.Name
	for n := range b.forgotten {
		if _, kept := ds.Entry(n); !kept || touched[n] {
			done = append(done, n)
		}
	}
	return done
}

// save writes down how the files were observed.
func (b *book) save() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	raw, err := b.seen.Marshal()
	if err != nil {
		return err
	}
	return b.state.put(map[string][]byte{keySeen: raw})
}

func encodeNames(set map[userdata.Name]bool) ([]byte, error) {
	names := make([]userdata.Name, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	return cbor.Marshal(names)
}
