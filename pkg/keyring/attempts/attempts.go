// Package attempts owns the count of wrong reprovisioning passcodes at the reader
// (step 620): how many a vault has had, when the next one is taken, and when no more
// is. An attempt is counted, and on the disk, before it is answered, so that neither
// a restart nor a power cut gives one back.
//
// A Ledger is a bbolt file that it holds from Open to Close; it starts no goroutine.
// It knows vaults by their ids and nothing of passcodes, sessions or displays. The
// reader's daemon imports it.
package attempts

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// ErrLockedOut is wrapped by the error about an attempt that is not taken.
var ErrLockedOut = errors.New("locked out")

// LockedOut says when the next attempt is taken.
type LockedOut struct {
	RetryAfter time.Duration // 0: not by waiting
}

// Error says how long.
func (e *LockedOut) Error() string {
	if e.RetryAfter == 0 {
		return "too many wrong passcodes"
	}
	return fmt.Sprintf("the next passcode is taken in %v", e.RetryAfter.Round(time.Second))
}

// Unwrap gives ErrLockedOut.
func (e *LockedOut) Unwrap() error { return ErrLockedOut }

// Policy is how many attempts there are. Delays double from wrong attempt to wrong
// attempt.
type Policy struct {
	Tries    int           // wrong ones in a row, until no more are taken; 1 at least
	Delay    time.Duration // after the first wrong one
	MaxDelay time.Duration
}

// after is how long nothing is taken after the n-th wrong attempt.
func (p Policy) after(n int) time.Duration {
	d := p.Delay
	for ; n > 1 && d < p.MaxDelay; n-- {
		d *= 2
	}
	return min(d, p.MaxDelay)
}

// Count is how a vault stands.
type Count struct {
	Wrong int // attempts since the last right one; one that has no outcome yet is among them
	Left  int // that are still taken
	// Damaged says that the record is damaged: no more attempts are taken, and how many
	// there were is not known.
	Damaged bool
	last    moment
}

const (
	bucket   = "attempts"
	marks    = "wiped"
	dirMode  = 0o700
	fileMode = 0o600
	lockTime = 5 * time.Second
	recorded = sha256.Size + 24 // bytes: digest, count, start of the host, time since that
)

// Ledger is the count of every vault. Its methods may be called concurrently.
type Ledger struct {
	db     *bbolt.DB
	policy Policy
	clock  Clock
}

// Open opens the ledger at path, creating it where it is missing, for this user alone.
func Open(path string, p Policy, clock Clock) (*Ledger, error) {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, fmt.Errorf("cannot open the count of attempts: %w", err)
	}
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: lockTime, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("cannot open the count of attempts: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(bucket))
		_, more := tx.CreateBucketIfNotExists([]byte(marks))
		return errors.Join(err, more)
	})
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the count of attempts: %w", err), db.Close())
	}
	return &Ledger{db: db, policy: p, clock: clock}, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Begin counts an attempt, durably, and returns the count with it; or a *LockedOut,
// and then nothing was counted. Only after it has returned nil may the attempt be
// answered.
func (l *Ledger) Begin(vault [16]byte) (c Count, err error) {
	err = l.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		c = l.read(b, vault)
		if c.Left <= 0 {
			return &LockedOut{}
		}
		if wait := l.wait(c); wait > 0 {
			return &LockedOut{RetryAfter: wait}
		}
		c = Count{Wrong: c.Wrong + 1, Left: c.Left - 1, last: l.clock.moment()}
		return b.Put(vault[:], encode(c))
	})
	if err != nil {
		return c, fmt.Errorf("cannot take an attempt: %w", err)
	}
	return c, nil
}

// wait is how long it takes until the next attempt is taken.
func (l *Ledger) wait(c Count) time.Duration {
	if c.Wrong == 0 {
		return 0
	}
	return max(0, l.policy.after(c.Wrong)-l.clock.since(c.last))
}

// Look tells how a vault stands.
func (l *Ledger) Look(vault [16]byte) (c Count, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		c = l.read(tx.Bucket([]byte(bucket)), vault)
		return nil
	})
	return c, err
}

// Reset starts anew: the passcode was right, there is another one, or the vault is
// gone. It is durable when it returns nil.
func (l *Ledger) Reset(vault [16]byte) error {
	err := l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Delete(vault[:]) })
	if err != nil {
		return fmt.Errorf("cannot reset the count of attempts: %w", err)
	}
	return nil
}

// MarkWiped takes note, for good, that a vault which was created at that time, to the
// second, was deleted for wrong attempts. It says nothing of one of the same id that is
// created anew, nor does a Reset take it back.
func (l *Ledger) MarkWiped(vault [16]byte, created time.Time) error {
	err := l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(marks)).Put(mark(vault, created), []byte{1}) })
	if err != nil {
		return fmt.Errorf("cannot take note of a deletion: %w", err)
	}
	return nil
}

// Wiped tells what MarkWiped took note of.
func (l *Ledger) Wiped(vault [16]byte, created time.Time) (wiped bool, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		wiped = tx.Bucket([]byte(marks)).Get(mark(vault, created)) != nil
		return nil
	})
	return wiped, err
}

func mark(vault [16]byte, created time.Time) []byte {
	return binary.BigEndian.AppendUint64(vault[:], uint64(created.Unix()))
}

// Close ends the use of the ledger.
func (l *Ledger) Close() error {
	if err := l.db.Close(); err != nil {
		return fmt.Errorf("cannot close the count of attempts: %w", err)
	}
	return nil
}

func encode(c Count) []byte {
	v := binary.BigEndian.AppendUint64(nil, uint64(c.Wrong))
	v = append(v, c.last.boot[:]...)
	v = binary.BigEndian.AppendUint64(v, uint64(c.last.up))
	d := sha256.Sum256(v)
	return append(d[:], v...)
}

// read is the count of a vault. A damaged one counts as too many: it must not be a
// way to more attempts.
func (l *Ledger) read(b *bbolt.Bucket, vault [16]byte) Count {
	raw := b.Get(vault[:])
	if raw == nil {
		return Count{Left: l.policy.Tries}
	}
	if len(raw) != recorded {
		return Count{Wrong: l.policy.Tries, Damaged: true}
	}
	v := raw[sha256.Size:]
	n := binary.BigEndian.Uint64(v)
	if d := sha256.Sum256(v); !bytes.Equal(d[:], raw[:sha256.Size]) || n > 1<<31 {
		return Count{Wrong: l.policy.Tries, Damaged: true}
	}
	last := moment{[8]byte(v[8:16]), time.Duration(binary.BigEndian.Uint64(v[16:]))}
	return Count{Wrong: int(n), Left: max(0, l.policy.Tries-int(n)), last: last}
}
