package profile_test

import (
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/iso7816"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/profile"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// TestChoice checks which profile serves which card, and that it works then.
func TestChoice(t *testing.T) {
	for name, test := range map[string]struct {
		kind    string
		token   bool
		want    string
		refused error
	}{
		"token":         {profile.Auto, true, piv.ProfileName, nil},
		"files":         {"", false, iso7816.ProfileName, nil},
		"token forced":  {piv.ProfileName, true, piv.ProfileName, nil},
		"files forced":  {iso7816.ProfileName, false, iso7816.ProfileName, nil},
		"wrong, token":  {iso7816.ProfileName, true, "", card.ErrUnsupported},
		"wrong, files ": {piv.ProfileName, false, "", card.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			options := virtual.Options{}
			if test.token {
				options.PIV = &virtual.PIV{}
			}
			c, err := virtual.New(options)
			if err != nil {
				t.Fatal(err)
			}
			open, err := profile.New(profile.Config{Kind: test.kind, PIV: piv.Config{DefaultKey: true}})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // unformatted, and formatted
				m, err := open(t.Context(), c)
				if test.refused != nil {
					if !errors.Is(err, test.refused) {
						t.Fatalf("got %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if layout, err := m.Layout(t.Context()); err != nil || layout.Profile != test.want {
					t.Fatalf("got %+v, %v", layout, err)
				}
				if err := m.Format(t.Context(), 4096); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if _, err := profile.New(profile.Config{Kind: "openpgp"}); err == nil {
		t.Error("an unknown profile is taken")
	}
}

// TestNeither checks a card that no profile is for.
func TestNeither(t *testing.T) {
	open, err := profile.New(profile.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := virtual.New(virtual.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.SetHook(virtual.FaultAt(1, virtual.PullFirst))
	if _, err := open(t.Context(), c); !errors.Is(err, card.ErrRemoved) {
		t.Fatalf("got %v", err)
	}
}
