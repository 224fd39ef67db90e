package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
	"github.com/reprovision/reprovision/pkg/userdata"
)

// failure pairs an error that travels with its codes.
type failure struct {
	err  error
	code sessionpb.Failure_Code
	grpc codes.Code
}

// failures lists the errors that travel. The first that an error matches is
// the one that is sent, so the more telling ones come first.
func failures() []failure {
	return []failure{
		{ErrLockedOut, sessionpb.Failure_LOCKED_OUT, codes.ResourceExhausted},
		{ErrWrongPasscode, sessionpb.Failure_WRONG_PASSCODE, codes.PermissionDenied},
		{ErrNotPaired, sessionpb.Failure_NOT_PAIRED, codes.Unauthenticated},
		{ErrPairingClosed, sessionpb.Failure_PAIRING_CLOSED, codes.FailedPrecondition},
		{ErrNotAllowed, sessionpb.Failure_NOT_ALLOWED, codes.PermissionDenied},
		{ErrNoVault, sessionpb.Failure_NO_VAULT, codes.NotFound},
		{ErrNoData, sessionpb.Failure_NO_DATA, codes.NotFound},
		{ErrExists, sessionpb.Failure_EXISTS, codes.AlreadyExists},
		{ErrStale, sessionpb.Failure_STALE, codes.Aborted},
		{ErrCard, sessionpb.Failure_CARD, codes.FailedPrecondition},
		{ErrDamaged, sessionpb.Failure_DAMAGED, codes.DataLoss},
		{ErrConflict, sessionpb.Failure_CONFLICT, codes.AlreadyExists},
		{ErrOverQuota, sessionpb.Failure_OVER_QUOTA, codes.ResourceExhausted},
		{ErrTooLarge, sessionpb.Failure_TOO_LARGE, codes.ResourceExhausted},
		{ErrBusy, sessionpb.Failure_BUSY, codes.Unavailable},
		{ErrProtocol, sessionpb.Failure_PROTOCOL, codes.FailedPrecondition},
		{ErrBadRequest, sessionpb.Failure_BAD_REQUEST, codes.InvalidArgument},
	}
}

// toStatus makes the error of a reader's call ready to travel. An error that
// is none of ours travels without its text: it is the reader's own business.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	for _, f := range failures() {
		if !errors.Is(err, f.err) {
			continue
		}
		detail := &sessionpb.Failure{Code: f.code}
		if locked, ok := errors.AsType[*LockedOut](err); ok {
			// Rounded up: a device that waits so long does not come too early.
			detail.RetryAfterMs = uint64(max(0, locked.RetryAfter+time.Millisecond-1) / time.Millisecond)
		}
		if wrong, ok := errors.AsType[*WrongPasscode](err); ok && wrong.Left >= 0 {
			detail.Left = uint32(min(wrong.Left, maxLeft)) + 1
		}
		st, withErr := status.New(f.grpc, tame(err.Error(), MaxText)).WithDetails(detail)
		if withErr != nil {
			return status.Error(f.grpc, "")
		}
		return st.Err()
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Internal, "the reader failed")
}

// maxLeft bounds how many tries can be left.
const maxLeft = 255

// maxRetryAfter bounds what a reader can make a device wait.
const maxRetryAfter = 24 * time.Hour

// fromStatus turns what a call of the device returned into an error that
// callers can tell apart.
func fromStatus(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range st.Details() {
		if detail, ok := d.(*sessionpb.Failure); ok {
			return remoteError(st, detail)
		}
	}
	switch st.Code() {
	case codes.Unavailable:
		return fmt.Errorf("%w: %s", ErrDisconnected, tame(st.Message(), MaxText))
	case codes.Canceled:
		return fmt.Errorf("call ended: %w", context.Canceled)
	case codes.DeadlineExceeded:
		return fmt.Errorf("call ended: %w", context.DeadlineExceeded)
	case codes.Unimplemented:
		return fmt.Errorf("%w: %s", ErrProtocol, tame(st.Message(), MaxText))
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %s", ErrTooLarge, tame(st.Message(), MaxText))
	}
	return errors.New("the reader says: " + tame(st.Message(), MaxText))
}

func remoteError(st *status.Status, detail *sessionpb.Failure) error {
	for _, f := range failures() {
		if f.code == detail.GetCode() {
			wait := min(detail.GetRetryAfterMs(), uint64(maxRetryAfter/time.Millisecond))
			return &RemoteError{
				Err:        f.err,
				Text:       tame(st.Message(), MaxText),
				RetryAfter: time.Duration(wait) * time.Millisecond,
				Left:       int(min(detail.GetLeft(), maxLeft+1)) - 1,
			}
		}
	}
	return fmt.Errorf("%w: failure code %d: %s", ErrProtocol, detail.GetCode(), tame(st.Message(), MaxText))
}

// tame makes a text from outside printable and cuts it to limit bytes.
func tame(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	s = userdata.Printable(s)
	if len(s) > limit {
		s = s[:limit] // escapes are ASCII
	}
	return s
}
