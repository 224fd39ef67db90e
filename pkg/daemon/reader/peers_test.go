package reader

import (
	"fmt"
	"sync"
	"testing"

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

// TestForgottenStaysForgotten forgets a device while it says its new name.
func TestForgottenStaysForgotten(t *testing.T) {
	r := newRig(t)
	for i := range 100 {
		phone := r.pair("phone")
		var hello sync.WaitGroup
		for n := range 2 {
			hello.Go(func() { r.d.rename(phone, fmt.Sprintf("phone %d %d", i, n)) })
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
