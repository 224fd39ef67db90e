package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm is one timer, for whoever waits for hours or days. It comes also when the
// machine wakes from sleep after its time, which Go's timers do not, and whenever
// the time of day is set: it is a hint to look at the clocks again. It is coarse,
// and while it is not set it wakes nobody but for such a hint.
type Alarm struct {
	file  *os.File
	rings chan struct{}
}

// NewAlarm makes an alarm that is not set. Close it when Run has returned, or was
// never called.
func NewAlarm() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make a timer: %w", err)
	}
	a := &Alarm{file: os.NewFile(uintptr(fd), "timer"), rings: make(chan struct{}, 1)}
	if err := a.Set(-1); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// never is when an alarm rings that is not set.
const never = 100 * 366 * 24 * time.Hour

// Set has the alarm ring once after that time, in place of what was set before;
// less than 0 is never. It rings up to a hundredth of the time late, so that
// several may come together.
func (a *Alarm) Set(after time.Duration) error {
	if after < 0 {
		after = never
	}
	coarse := max(min(after/100, time.Minute), time.Millisecond)
	after = max(after, 1)
	conn, err := a.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot set the timer: %w", err)
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for range 3 { // ECANCELED: the clock was set meanwhile
			at := time.Now().Add(after + coarse).Truncate(coarse)
			spec := unix.ItimerSpec{Value: unix.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}}
			failed = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &spec, nil)
			if !errors.Is(failed, unix.ECANCELED) {
				return
			}
		}
	})
	if err = errors.Join(err, failed); err != nil && !errors.Is(err, unix.ECANCELED) {
		return fmt.Errorf("cannot set the timer: %w", err)
	}
	return nil
}

// Rings gets a value each time that the alarm rings, or the clock was set. One
// that nobody took makes the next needless.
func (a *Alarm) Rings() <-chan struct{} { return a.rings }

// Run lets the alarm ring until the context ends, whose error it returns.
func (a *Alarm) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var expirations [8]byte
	for {
		_, err := a.file.Read(expirations[:])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, unix.ECANCELED) {
			return fmt.Errorf("cannot wait for the timer: %w", err)
		}
		select {
		case a.rings <- struct{}{}:
		default:
		}
	}
}

// Close gives the timer back.
func (a *Alarm) Close() error { return a.file.Close() }
