package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// What a phone holds: files of each class, and bytes in all.
const (
	books       = 200
	keys        = 100
	preferences = 1000
	phoneFiles  = 10_000
	phoneBytes  = 424_000_000
)

// generator writes trees. One seed makes the same bytes each time.
type generator struct {
	*rand.Rand
	noise *rand.ChaCha8
	words string // text to cut pieces of
}

func newGenerator(seed byte) *generator {
	noise := rand.NewChaCha8([32]byte{seed})
	g := &generator{Rand: rand.New(noise), noise: noise}
	var b strings.Builder
	for b.Len() < 2<<20 {
		for range 2 + g.IntN(6) {
			b.WriteByte("etaoinshrdlucmwfgypbvk"[int(22*math.Pow(g.Float64(), 1.5))])
		}
		b.WriteByte(" \n"[g.IntN(12)/11])
	}
	g.words = b.String()
	return g
}

// phone writes what a phone may hold into four directories, of about so many bytes.
func phone(dir string, bytes int64) error {
	g := newGenerator(1)
	left := bytes
	put := func(name string, data []byte) error {
		left -= int64(len(data))
		return write(filepath.Join(dir, name), data)
	}
	for i := range books {
		if err := put(bookName(i), g.book(i)); err != nil {
			return err
		}
	}
	for i := range keys {
		if err := put(fmt.Sprintf("keys/id_%03d.%s", i, []string{"pem", "asc"}[i%2]), g.key(i)); err != nil {
			return err
		}
	}
	for i := range preferences {
		if err := put(fmt.Sprintf("preferences/app%02d/p%03d.json", i%50, i), g.preference()); err != nil {
			return err
		}
	}
	for name, size := range map[string]int{"user-data/notes/edit.txt": smallText, "user-data/notes/big.txt": largeText} {
		if err := put(name, newGenerator(2).prose(size)); err != nil {
			return err
		}
	}
	made, err := g.databases(filepath.Join(dir, "user-data/db"))
	if err != nil {
		return err
	}
	for i, size := range g.sizes(phoneFiles-books-keys-preferences-2-databases, left-made) {
		if err := write(filepath.Join(dir, userName(i)), g.user(i, size)); err != nil {
			return err
		}
	}
	return nil
}

func userName(i int) string {
	return fmt.Sprintf("user-data/d%03d/f%05d.%s", i%90, i, []string{"txt", "jpg"}[i%2])
}

func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = g.noise.Read(b) // never fails
	return b
}

func (g *generator) preference() []byte {
	b := []byte("{\n")
	for i := range 5 + g.IntN(40) {
		b = fmt.Appendf(b, "  %q: %d,\n", fmt.Sprintf("key%d", i), g.IntN(1e6))
	}
	return append(b, "  \"end\": true\n}\n"...)
}

// sizes draws file sizes, most of them small and a few large, that make up the total.
func (g *generator) sizes(n int, total int64) []int {
	raw, sum := make([]float64, n), 0.0
	for i := range raw {
		raw[i] = math.Exp(1.5 * g.NormFloat64())
		sum += raw[i]
	}
	sizes := make([]int, n)
	for i := range raw {
		sizes[i] = 1 + int(raw[i]/sum*float64(total))
	}
	return sizes
}

// manySmall writes files of 20 bytes in directories of 1,000.
func manySmall(dir string, files int) error {
	for i := range files {
		if err := write(filepath.Join(dir, fmt.Sprintf("d%04d/f%07d", i/1000, i)), fmt.Appendf(nil, "this is no. %07d\n", i)); err != nil {
			return err
		}
	}
	return nil
}

func write(file string, data []byte) error {
	err := os.WriteFile(file, data, 0o600)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
			err = os.WriteFile(file, data, 0o600)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write the tree: %w", err)
	}
	return nil
}
