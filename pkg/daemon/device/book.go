package device

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"slices"
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

	mu      sync.Mutex
	dataSet *vault.DataSet     // nil before the first backup
	whole   *manifest.Manifest // what manifest has put together; nil when that is no longer true
	seen    scan.Cache         // last intact
	last    scan.Cache         // of the last scan, so that it need not read all again
	found   scan.Cache         // how files were last found; what nobody wrote since is no news
	looked  *view              // the last scan, if nothing is known better since; else nil
	// forgotten are the names whose loss or change the owner means, with the
	// number of the word that said so.
	forgotten map[userdata.Name]uint64
	words     uint64
	// dirty are names that were read anew beside the looks, with the number of
	// the reading: a look that began before it does not know better.
	dirty    map[userdata.Name]uint64
	readings uint64
	// lost are items that are damaged here and that the newest snapshot does
	// not have, because the reader lost it or is another one: they stay
	// damaged until they are back or forgotten.
	lost []manifest.Item
	// erased are items that were found erased and are not back yet. Where a
	// restore brings back only some of a root, the rest must not pass for
	// deleted.
	erased map[userdata.Name]bool
	moved  map[userdata.Name]userdata.Name // where items went, since the data set
	// doubted are the items whose damage is only suspected. New ones are among them, which
	// the owner may mean, too.
	doubted map[userdata.Name]bool
	crashed int64 // see detect.Reference
	mounts  mounts
}

// openBook reads the book. What of it cannot be read is done without: the reader
// has the data set too, and observations are made anew.
func openBook(st *state, log *slog.Logger) *book {
	b := &book{
		state: st, forgotten: make(map[userdata.Name]uint64), dirty: make(map[userdata.Name]uint64),
		erased: make(map[userdata.Name]bool),
	}
	var names, erased []userdata.Name
	var err [9]error
	b.dataSet, err[0] = st.dataSet(keyReference)
	b.seen, err[1] = st.observed(keySeen)
	_, err[2] = st.load(keyForgotten, &names)
	_, err[3] = st.load(keyLost, &b.lost)
	_, err[4] = st.load(keyErased, &erased)
	_, err[5] = st.load(keyMounts, &b.mounts)
	_, err[6] = st.load(keyMoved, &b.moved)
	var found scan.Cache
	found, err[7] = st.observed(keyLast)
	_, err[8] = st.load(keyCrashed, &b.crashed)
	if err := errors.Join(err[:]...); err != nil {
		log.Error("cannot read all of the state, going on without that part", "error", err)
	}
	// What was written after it had been saved, or is in doubt, has to be read.
	b.found = b.seen.With(found, found.Names())
	b.last = b.seen.With(scan.Cache{}, found.Names())
	for _, n := range names {
		b.forgotten[n] = 0
	}
	for _, n := range erased {
		b.erased[n] = true
	}
	return b
}

// reference is what to judge a scan by.
func (b *book) reference() detect.Reference {
	b.mu.Lock()
	defer b.mu.Unlock()
	ref := detect.Reference{Seen: b.seen, Last: b.found, Crashed: b.crashed, Forgotten: b.isForgotten, Erased: b.wasErased, Moved: b.moved, Mounts: b.mounts.Roots, Mounted: b.mounts.Inside}
	ref.Manifest = b.manifest()
	return ref
}

// manifest is what there is to be: the data set's items and the lost ones; mu
// is held.
func (b *book) manifest() manifest.Manifest {
	if b.whole == nil {
		m := b.makeManifest()
		b.whole = &m
	}
	return *b.whole
}

func (b *book) makeManifest() manifest.Manifest {
	var m manifest.Manifest
	if b.dataSet != nil {
		m = b.dataSet.Manifest()
	}
	all, err := m.Apply(manifest.Delta{Put: b.lost})
	if err != nil { // never: Apply puts each name once
		return m
	}
	return all
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

// view is what the last look saw, if that still holds but for what hints tell; else nil.
func (b *book) view() *view {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.looked
}

// blur has the next look look at everything.
func (b *book) blur() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looked = nil
}

// reading is the number of the last reading beside the looks.
func (b *book) reading() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.readings
}

// reread takes note of files that were read anew, every byte: the next scan need
// not, and those that could not be read it reads again. Where all is as it was last seen,
// what was seen still holds. What a scan keeps of those is how
// they were known before it: to trust that would be to take a read error for nothing.
func (b *book) reread(names []userdata.Name, found scan.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var unread []userdata.Name
	for _, p := range found.Problems {
		if p.Reason != scan.Attributes { // of such a file every byte was read
			unread = append(unread, p.Name)
		}
	}
	b.last = b.last.With(found.Cache, names).With(scan.Cache{}, unread)
	b.looked = b.looked.confirmed(names, found)
	b.readings++
	for _, n := range names {
		b.dirty[n] = b.readings
	}
}

// observe takes note of a scan of the whole space and its judgement: what was
// found intact or changed is from now on known as it was seen, what is damaged
// or cannot be judged stays known as it was. What was read anew since the given
// reading, when the scan began, is to be read once more.
func (b *book) observe(s sight, reading uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, report := s.now, s.report
	var newer []userdata.Name
	for n, at := range b.dirty {
		if at > reading {
			newer = append(newer, n)
		}
	}
	clear(b.dirty)
	var bad, unsure []userdata.Name
	doubted := make(map[userdata.Name]bool)
	for _, f := range report.Findings {
		if f.Verdict.Damage() || f.Verdict == detect.Unavailable {
			bad = append(bad, f.Name)
		}
		if f.Verdict == detect.Unavailable || f.Verdict.Damage() && (!f.Suspected || report.Silent[f.Name]) {
			unsure = append(unsure, f.Name)
		}
		if f.Suspected {
			doubted[f.Name] = true
		}
	}
	b.last, b.looked = now.Cache.With(scan.Cache{}, newer), nil
	if len(newer) == 0 {
		v := s.view // without the report
		b.looked = &v
	}
	b.seen = now.Cache.With(b.seen, append(bad, b.edited(now)...))
	b.found = now.Cache.With(b.found, unsure)
	return errors.Join(b.noteDoubted(doubted), b.noteErased(now, report), b.noteMounts(now, report), b.noteMoved(now, report))
}

// noteDoubted keeps in mind how those items were last found whose damage is suspected: what
// was in doubt before a restart is so after it. mu is held.
func (b *book) noteDoubted(doubted map[userdata.Name]bool) error {
	if maps.Equal(doubted, b.doubted) {
		return nil
	}
	found := scan.Cache{}.With(b.found, slices.Collect(maps.Keys(doubted)))
	raw, err := found.Marshal()
	if err != nil {
		return err
	}
	b.doubted = doubted
	return b.state.put(map[string][]byte{keyLast: raw})
}

// doubt has the next look read files whose contents turned out to be other than it said.
func (b *book) doubt(names []userdata.Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(names) > 0 {
		b.last, b.looked = b.last.With(scan.Cache{}, names), nil
	}
}

// noteMoved keeps in mind where items went: they may be edited there before they
// are saved. mu is held.
func (b *book) noteMoved(now scan.Result, report detect.Report) error {
	moved, saved := maps.Clone(report.Moved), b.manifest()
	for n, to := range b.moved { // also those that cannot be seen now
		_, back := now.Manifest.Find(n)
		_, known := saved.Find(n)
		if _, again := moved[n]; !again && known && !back && !b.erased[n] {
			moved[n] = to
		}
	}
	if maps.Equal(b.moved, moved) {
		return nil
	}
	b.moved = moved
	return b.state.store(keyMoved, moved)
}

// everything lists what there is to be, and the files that are newer than the data set.
func (b *book) everything() []manifest.Item {
	b.mu.Lock()
	defer b.mu.Unlock()
	saved := b.manifest()
	all := slices.Clip(saved.Items()) // so that nothing is put into the manifest's own
	for n, e := range b.last.All() {
		if _, known := saved.Find(n); !known {
			all = append(all, manifest.Item{Name: n, Type: manifest.File, Size: e.Size})
		}
	}
	if len(all) > saved.Len() {
		slices.SortFunc(all, func(x, y manifest.Item) int { return cmp.Compare(x.Name, y.Name) })
	}
	return all
}

// edited lists the files that differ from the data set, or are gone, and whose saved
// contents are still known: what those were like is evidence until there is a new data set. mu
// is held.
func (b *book) edited(now scan.Result) []userdata.Name {
	if b.dataSet == nil {
		return nil
	}
	var names []userdata.Name
	found := now.Manifest.Finder()
	for _, it := range b.dataSet.Manifest().Items() {
		is, there := found.Find(it.Name)
		was, known := b.seen.Get(it.Name)
		if known && was.Digest == it.Digest && (!there || is.Digest != it.Digest) {
			names = append(names, it.Name)
		}
	}
	return names
}

// upToDate is what is known of the files of a data set that has just been made: how
// they were last looked at, where that is what was saved. mu is held.
func (b *book) upToDate(ds *vault.DataSet) scan.Cache {
	var others []userdata.Name
	for _, it := range ds.Manifest().Items() {
		if last, known := b.last.Get(it.Name); !known || last.Digest != it.Digest {
			others = append(others, it.Name)
		}
	}
	return b.last.With(b.seen, others)
}

// noteErased keeps the set of erased items up to date; mu is held.
func (b *book) noteErased(now scan.Result, report detect.Report) error {
	erased := make(map[userdata.Name]bool)
	for n := range b.erased {
		if _, back := now.Manifest.Find(n); !back && !b.means(n) {
			erased[n] = true
		}
	}
	for _, f := range report.Findings {
		if f.Verdict == detect.Erased && !f.Suspected {
			erased[f.Name] = true
		}
	}
	if maps.Equal(erased, b.erased) {
		return nil
	}
	raw, err := encodeNames(erased)
	if err != nil {
		return err
	}
	b.erased = erased
	return b.state.put(map[string][]byte{keyErased: raw})
}

func (b *book) wasErased(n userdata.Name) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.erased[n]
}

// restored takes note of items that were written and read back.
func (b *book) restored(names []userdata.Name, found scan.Cache) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.looked = b.last.With(found, names), nil
	b.seen, b.found = b.seen.With(found, names), b.found.With(found, names)
}

// means tells whether the owner means the loss or change of an item; mu is held.
func (b *book) means(n userdata.Name) bool {
	_, meant := b.forgotten[n]
	return meant
}

// turn is what changes in the book with a new data set, beside the data set.
type turn struct {
	Lost []manifest.Item `cbor:"1,keyasint"`
	Done []userdata.Name `cbor:"2,keyasint"` // forgotten no longer
}

// adopt makes a data set the reference, together with what has to change with
// it in one transaction.
func (b *book) adopt(ds *vault.DataSet, also map[string][]byte, t turn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	lost, done := t.Lost, t.Done
	values := make(map[string][]byte, len(also)+3)
	for k, v := range also {
		values[k] = v
	}
	left := b.forgottenWithout(done)
	var err error
	if values[keyReference], err = ds.Encode(); err != nil {
		return err
	}
	seen := b.upToDate(ds)
	if values[keySeen], err = seen.Marshal(); err != nil {
		return err
	}
	if values[keyForgotten], err = encodeNames(left); err != nil {
		return err
	}
	if values[keyLost], err = cbor.Marshal(lost); err != nil {
		return err
	}
	if err := b.state.put(values); err != nil {
		return err
	}
	b.dataSet, b.forgotten, b.lost, b.seen, b.whole = ds, left, lost, seen, nil
	return nil
}

// lostBy lists what would be lost from the reference if the data set took its
// place though it is to be there: items that are damaged or cannot be judged now
// and that the data set does not have.
func (b *book) lostBy(ds *vault.DataSet, unsure []detect.Finding, done []userdata.Name) []manifest.Item {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lost []manifest.Item
	add := func(it manifest.Item) {
		if !slices.ContainsFunc(lost, func(o manifest.Item) bool { return o.Name == it.Name }) {
			lost = append(lost, it)
		}
	}
	was := b.manifest()
	for _, f := range unsure {
		if it, known := was.Find(f.Name); known && !b.means(f.Name) && f.Verdict != detect.Changed {
			add(it)
		}
	}
	for _, it := range b.lost {
		add(it)
	}
	return slices.DeleteFunc(lost, func(it manifest.Item) bool {
		_, saved := ds.Entry(it.Name)
		return saved || slices.Contains(done, it.Name)
	})
}

func (b *book) forgottenWithout(done []userdata.Name) map[userdata.Name]uint64 {
	left := maps.Clone(b.forgotten)
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
	marks, count := b.marks(b.manifest(), names)
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

func (b *book) marks(m manifest.Manifest, names []userdata.Name) (map[userdata.Name]uint64, int64) {
	marks, count := b.forgottenWithout(nil), int64(0)
	b.words++
	mark := func(item userdata.Name) {
		if slices.ContainsFunc(names, item.Below) {
			marks[item] = b.words
			count++
		}
	}
	for _, it := range m.Items() {
		mark(it.Name)
	}
	for n := range b.doubted {
		if _, known := m.Find(n); !known {
			mark(n)
		}
	}
	return marks, count
}

func (b *book) isForgotten(n userdata.Name) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.means(n)
}

// meant lists what the owner means, as of now.
func (b *book) meant() map[userdata.Name]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.forgotten)
}

// settled lists the forgotten names that a data set has caught up with: it has
// them as they were seen, or no longer. Only words that were said before the
// look count; meant has those.
func (b *book) settled(ds *vault.DataSet, seen sight, meant map[userdata.Name]uint64) []userdata.Name {
	now, report := seen.now, seen.report
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := make(map[userdata.Name]bool, len(report.Findings))
	for _, f := range report.Findings {
		changed[f.Name] = f.Verdict == detect.Changed
	}
	var done []userdata.Name
	for n, word := range b.forgotten {
		if said, before := meant[n]; !before || said != word {
			continue
		}
		entry, kept := ds.Entry(n)
		is, there := now.Manifest.Find(n)
		if !kept && !there || kept && there && changed[n] && entry.Item.Equal(is) {
			done = append(done, n)
		}
	}
	return done
}

// save writes down how the files were observed, and that this is an orderly end.
func (b *book) save() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen, err := b.seen.Marshal()
	if err != nil {
		return err
	}
	found, err := b.found.Apart(b.seen).With(b.found, slices.Collect(maps.Keys(b.doubted))).Marshal()
	if err != nil {
		return err
	}
	return b.state.put(map[string][]byte{keySeen: seen, keyLast: found, keyRunning: nil})
}

func encodeNames[V any](set map[userdata.Name]V) ([]byte, error) {
	names := make([]userdata.Name, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	return cbor.Marshal(names)
}
