package picture_test

import (
	"bytes"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reprovision/reprovision/pkg/panel"
	"github.com/reprovision/reprovision/pkg/panel/picture"
)

var update = flag.Bool("update", false, "write the pictures of docs/panel anew")

// golden is where the pictures are, which docs/hardware.md shows.
const golden = "../../../docs/panel"

// scale is how much larger than the display they are.
const scale = 3

// views are those of docs/hardware.md, by the name of their picture.
func views() map[string]panel.View {
	return map[string]panel.View{
		"idle":       {State: panel.Idle, Card: "Card: up to date"},
		"no-card":    {State: panel.Idle, Card: "No card"},
		"overdue":    {State: panel.Idle, Notice: "Grete's phone: for 3 days", Card: "Card: up to date"},
		"address":    {State: panel.Address, Address: "00:1A:7D:DA:71:13"},
		"passcode":   {State: panel.Passcode, Passcode: "31415926"},
		"paired":     {State: panel.Paired, Name: "Grete's phone"},
		"failed":     {State: panel.Failed, Reason: "Wrong passcode. 4 more tries."},
		"attempts":   {State: panel.Alert, Reason: "7 more tries. 3 wrong for the data of Grete's phone."},
		"locked":     {State: panel.Alert, Reason: "Locked: only the recovery code helps. It was for the data of Grete's phone."},
		"saving":     {State: panel.Progress, Task: panel.Saving, Name: "Grete's phone", Bytes: 42_400_000},
		"restoring":  {State: panel.Progress, Task: panel.Restoring, Name: "Grete's phone", Bytes: 318_000},
		"wide-names": {State: panel.Paired, Name: "Grétes Händy in der Küche neben dem Ofen, 日本 \x1b[2J"},
	}
}

func TestGolden(t *testing.T) {
	r := renderer(t)
	for name, view := range views() {
		t.Run(name, func(t *testing.T) {
			got := picture.Image(r.Draw(view), scale)
			file := filepath.Join(golden, name+".png")
			if *update {
				write(t, file, got)
			}
			compare(t, file, got)
		})
	}
	files, err := filepath.Glob(filepath.Join(golden, "*.png"))
	if err != nil || len(files) != len(views()) {
		t.Errorf("%d pictures of %d views, %v", len(files), len(views()), err)
	}
}

func write(t *testing.T, file string, p image.Image) {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare compares pixels and not bytes: Go's compression may change.
func compare(t *testing.T, file string, got *image.Gray) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	gray, ok := want.(*image.Gray)
	if !ok || gray.Rect != got.Rect || !bytes.Equal(gray.Pix, got.Pix) {
		t.Errorf("%s is not what is drawn; look at it and run the test with -update", file)
	}
}

// TestNothingIsCut finds room around the largest text: a character that reaches the rim
// may have lost a part.
func TestNothingIsCut(t *testing.T) {
	r := renderer(t)
	for _, c := range "0123456789ABCDEF" {
		two := strings.Repeat(string(c), 2)
		address := strings.Repeat(two+":", 5) + two
		for name, view := range map[string]panel.View{
			"address":  {State: panel.Address, Address: address},
			"passcode": {State: panel.Passcode, Passcode: strings.Repeat(string(c), 8)},
		} {
			p := r.Draw(view)
			for y := 15; y < picture.Height; y++ {
				if p.BitAt(0, y) || p.BitAt(picture.Width-1, y) {
					t.Errorf("%s of %c: row %d reaches the rim", name, c, y)
				}
			}
			for x := range picture.Width {
				if p.BitAt(x, 14) || p.BitAt(x, picture.Height-1) {
					t.Errorf("%s of %c: column %d reaches the title or the rim", name, c, x)
				}
			}
		}
	}
}

func renderer(t testing.TB) *picture.Renderer {
	t.Helper()
	r, err := picture.New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func FuzzDraw(f *testing.F) {
	f.Add("address", "00:1A:7D:DA:71:13")
	f.Add("passcode", "\xff\xfe1")
	f.Add("progress", "日本\u0300\x1b")
	f.Fuzz(func(t *testing.T, state, text string) {
		v := panel.View{State: panel.State(state), Address: text, Passcode: text, Name: text, Reason: text, Notice: text, Card: text, Bytes: int64(len(text))}
		if p := renderer(t).Draw(v); p.Bounds() != image.Rect(0, 0, picture.Width, picture.Height) {
			t.Fatal(p.Bounds())
		}
	})
}
