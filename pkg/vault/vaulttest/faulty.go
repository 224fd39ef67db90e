package vaulttest

import (
	"errors"
	"sync"
	"time"

	"github.com/reprovision/reprovision/pkg/vault"
)

// ErrInjected is what a Faulty store's operations fail with.
var ErrInjected = errors.New("injected fault")

// Faulty wraps a Store and makes its operations fail: before they take effect,
// or after, as when the answer is lost on the way.
type Faulty struct {
	vault.Store

	mu     sync.Mutex
	faults []Fault
	calls  map[string]int
}

// Fault says which call fails and how.
type Fault struct {
	Op    string // the method's name
	Call  int    // which call of it, from 1; 0 for every one
	After bool   // it takes effect, and fails nevertheless
	Err   error  // ErrInjected when nil
}

// NewFaulty wraps a store; it fails as the faults say.
func NewFaulty(s vault.Store, faults ...Fault) *Faulty {
	return &Faulty{Store: s, faults: faults, calls: make(map[string]int)}
}

// Inject adds faults. Calls are counted from the wrapping on.
func (f *Faulty) Inject(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// Clear removes all faults.
func (f *Faulty) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

func (f *Faulty) find(op string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	for _, x := range f.faults {
		if x.Op == op && (x.Call == 0 || x.Call == f.calls[op]) {
			if x.Err == nil {
				x.Err = ErrInjected
			}
			return x, true
		}
	}
	return Fault{}, false
}

func (f *Faulty) run(op string, do func() error) error {
	x, hit := f.find(op)
	if hit && !x.After {
		return x.Err
	}
	if err := do(); err != nil || !hit {
		return err
	}
	return x.Err
}

// Create implements vault.Store.
func (f *Faulty) Create(r vault.Record) error {
	return f.run("Create", func() error { return f.Store.Create(r) })
}

// Vaults implements vault.Store.
func (f *Faulty) Vaults() (all []vault.Record, err error) {
	err = f.run("Vaults", func() error { all, err = f.Store.Vaults(); return err })
	return all, err
}

// Vault implements vault.Store.
func (f *Faulty) Vault(id vault.VaultID) (r vault.Record, err error) {
	err = f.run("Vault", func() error { r, err = f.Store.Vault(id); return err })
	return r, err
}

// Update implements vault.Store.
func (f *Faulty) Update(r vault.Record) error {
	return f.run("Update", func() error { return f.Store.Update(r) })
}

// Delete implements vault.Store.
func (f *Faulty) Delete(id vault.VaultID) error {
	return f.run("Delete", func() error { return f.Store.Delete(id) })
}

// Missing implements vault.Store.
func (f *Faulty) Missing(id vault.VaultID, blobs []vault.BlobID) (missing []vault.BlobID, err error) {
	err = f.run("Missing", func() error { missing, err = f.Store.Missing(id, blobs); return err })
	return missing, err
}

// Put implements vault.Store.
func (f *Faulty) Put(id vault.VaultID, blobs []vault.StoredBlob) error {
	return f.run("Put", func() error { return f.Store.Put(id, blobs) })
}

// Commit implements vault.Store.
func (f *Faulty) Commit(id vault.VaultID, c vault.Commit, now time.Time) error {
	return f.run("Commit", func() error { return f.Store.Commit(id, c, now) })
}

// Snapshots implements vault.Store.
func (f *Faulty) Snapshots(id vault.VaultID) (all []vault.SnapshotRecord, err error) {
	err = f.run("Snapshots", func() error { all, err = f.Store.Snapshots(id); return err })
	return all, err
}

// Get implements vault.Store.
func (f *Faulty) Get(id vault.VaultID, blob vault.BlobID) (sealed []byte, err error) {
	err = f.run("Get", func() error { sealed, err = f.Store.Get(id, blob); return err })
	return sealed, err
}

// Unstage implements vault.Store.
func (f *Faulty) Unstage(id vault.VaultID) error {
	return f.run("Unstage", func() error { return f.Store.Unstage(id) })
}
