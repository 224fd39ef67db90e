package reader

import (
	"fmt"
	"sync"
	"testing"

	"github.com/reprovision/reprovision/pkg/link"
	"github.com/reprovision/reprovision/pkg/session"
)

func TestRename(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	before, err := r.d.keys.Peer(phone.ID)
	r.must(err)
	for _, name := range []string{"my phone", ""} {
		_, err = r.d.Hello(t.Context(), phone, session.Hello{Name: name})
		r.must(err)
	}
	after, err := r.d.keys.Peer(phone.ID)
	r.must(err)
	if after.Name != "my phone" || !after.Paired.Equal(before.Paired) {
		t.Errorf("got %+v, was %+v", after, before)
	}
}

func TestNewAddress(t *testing.T) {
	r := newRig(t)
	phone := r.pair("phone")
	for _, at := range []link.Address{{2, 0, 0, 0, 0, 7}, {}} { // the second link has no addresses
		phone.Address = at
		_, err := r.d.Hello(t.Context(), phone, session.Hello{Name: "phone"})
		r.must(err)
	}
	if known, err := r.d.keys.Peer(phone.ID); err != nil || known.Address != "02:00:00:00:00:07" {
		t.Errorf("got %+v, %v", known, err)
	}
}

// TestForgottenStaysForgotten forgets a device while it says its new name.
func TestForgottenStaysForgotten(t *testing.T) {
	r := newRig(t)
	for i := range 100 {
		phone := r.pair("phone")
		var hello sync.WaitGroup
		for n := range 2 {
			hello.Go(func() { r.d.meet(phone, fmt.Sprintf("phone %d %d", i, n)) })
		}
		var err error
		if i%2 == 0 {
			err = r.d.Forget(t.Context(), phone.ID)
		} else {
			err = r.d.Unpair(t.Context(), phone)
		}
		hello.Wait()
		r.must(err)
		if _, known := r.d.Paired(phone.Key); known {
			t.Fatalf("paired again after it was forgotten, at attempt %d", i)
		}
	}
}
