// Package manifest owns the canonical list of a user-data space's items: what
// each one is, its metadata and the digest of its contents, and the difference
// between two such lists.
//
// A manifest is a value: it knows neither how bytes were read nor where they
// are stored. Any package may import it.
package manifest
